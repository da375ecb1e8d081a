// Every action of the console is clicked, and its effect seen by the API.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';

import { eventually, HELD, office } from './desk';

const { server, backEnd, desk, person, key } = await office();

/** Has a chat held back; returns its id. */
async function held(from: number, to: number, content: string): Promise<number> {
  const clientMsgId = crypto.randomUUID();
  const { status } = await backEnd.send('POST', '/chats', { from, to, clientMsgId, content });
  assert.equal(status, 202);
  const all = await backEnd.list('/held', 'held');
  return all.find((chat) => chat.content === content)!.id as number;
}

async function isHeld(id: number): Promise<boolean> {
  return (await backEnd.list('/held', 'held')).some((chat) => chat.id === id);
}

/** The newest chats between two, as one of them reads them. */
async function said(reader: { token: string }, peer: number): Promise<Record<string, unknown>[]> {
  const ask = async (route: string) =>
    (await (await fetch(server.url + route, { headers: { authorization: `Bearer ${reader.token}` } })).json()) as Record<string, unknown[]>;
  const { conversations } = await ask(`/v1/conversations?peerId=${peer}`);
  const [conversation] = conversations as { id: number }[];
  if (!conversation) return [];
  return (await ask(`/v1/conversations/${conversation.id}/chats`)).chats as Record<string, unknown>[];
}

async function restriction(id: number): Promise<Record<string, unknown> | null> {
  const [found] = await backEnd.list(`/users?user=id:${id}`, 'users');
  return found!.restriction as Record<string, unknown> | null;
}

test('a key is asked for, refused, kept in memory alone, and left', async () => {
  const at = await desk();
  await at.page.locator('input.key').fill('imk_wrong');
  await at.page.locator('.sign-in .main').click();
  await at.page.locator('.wrong', { hasText: '密钥无效' }).waitFor();
  await at.signIn(backEnd.key);
  const kept = await at.page.evaluate(() => ({
    local: localStorage.length,
    session: sessionStorage.length,
    cookies: document.cookie,
    url: location.href,
  }));
  assert.deepEqual(kept, { local: 0, session: 0, cookies: '', url: `${server.url}/console` });
  await at.page.reload();
  await at.page.locator('input.key').waitFor();
  assert.equal(await at.page.locator('input.key').inputValue(), '');
  await at.signIn(backEnd.key);
  await at.page.getByRole('button', { name: '退出' }).click();
  await at.page.locator('input.key').waitFor();
  at.assertQuiet();
});

test('a key that is revoked signs out, and one without a scope says which it lacks', async () => {
  const poor = await key('status');
  const at = await desk();
  await at.signIn(poor);
  await at.page.locator('.figure', { hasText: '待审消息' }).waitFor();
  for (const [tab, scope] of [
    ['待审', 'moderation'],
    ['举报', 'moderation'],
    ['用户', 'users'],
    ['会话', 'conversations'],
    ['回调', 'webhooks'],
    ['密钥', 'all'],
    ['审计', 'audit'],
  ] as const) {
    await at.tab(tab);
    await at.page.getByText(`没有 ${scope} 权限`).waitFor();
  }
  const keys = await backEnd.list('/keys', 'keys');
  await backEnd.send('DELETE', `/keys/${keys.at(-1)!.id as number}`);
  await at.tab('概览');
  await at.page.locator('.wrong', { hasText: '已吊销' }).waitFor();
  at.assertQuiet();
});

test('the overview shows live figures', async () => {
  const [one, other] = [await person('概览甲'), await person('概览乙')];
  const at = await desk();
  await at.signIn(backEnd.key);
  const figure = (name: string) => at.page.locator('.figure', { hasText: name }).locator('dd');
  await figure('状态').filter({ hasText: '正常' }).waitFor();
  const before = Number.parseInt(await figure('已提交消息').innerText(), 10);
  await one.send(other.id, '一');
  await figure('已提交消息').filter({ hasText: new RegExp(`^${before + 1}`) }).waitFor();
  at.assertQuiet();
});

test('a held chat is released, another refused, and a third is decided already', async () => {
  const [one, other] = [await person('发送者'), await person('接收者')];
  const [first, second, third] = [
    await held(one.id, other.id, `${HELD} 一`),
    await held(one.id, other.id, `${HELD} 二`),
    await held(one.id, other.id, `${HELD} 三`),
  ];
  const at = await desk();
  await at.signIn(backEnd.key);
  await at.tab('待审');
  await at.row(`${HELD} 一`).getByRole('button', { name: '放行' }).click();
  await at.says('已放行');
  assert.equal(await isHeld(first), false);
  assert.deepEqual((await said(other, one.id)).map((chat) => chat.content), [`${HELD} 一`]);
  await at.row(`${HELD} 一`).waitFor({ state: 'detached' });

  await at.row(`${HELD} 二`).getByRole('button', { name: '拒绝' }).click();
  await at.dialog.locator('input[name=detail]').fill('请不要留联系方式');
  await at.page.keyboard.press('Escape');
  await at.dialog.waitFor({ state: 'detached' });
  assert.equal(await isHeld(second), true, 'nothing was said');
  await at.row(`${HELD} 二`).getByRole('button', { name: '拒绝' }).click();
  await at.dialog.locator('input[name=detail]').fill('请不要留联系方式');
  await at.confirm();
  await at.says('已拒绝');
  assert.equal(await isHeld(second), false);
  assert.ok(await backEnd.audited({ action: 'held.refuse', subject: `held:${second}`, outcome: 'ok' }));

  await at.row(`${HELD} 三`).waitFor();
  await backEnd.send('POST', `/held/${third}`, { action: 'refuse' });
  await at.row(`${HELD} 三`).getByRole('button', { name: '放行' }).click();
  await at.page.locator('.problem', { hasText: '没有找到' }).waitFor();
  await at.page.getByText('没有待审消息。').waitFor();
  at.assertQuiet();
});

test('a report is dismissed, and others recall, mute and ban', async () => {
  const [bad, good] = [await person('坏人'), await person('好人')];
  const report = async (content: string) => {
    await bad.send(good.id, content);
    const chat = (await said(good, bad.id)).at(-1)!;
    await server.post('/v1/reports', { chatId: chat.id, reason: 'fraud', detail: `关于 ${content}` }, good.token);
    return chat.id as number;
  };
  for (const content of ['广告一', '广告二', '广告三', '广告四']) await report(content);
  const at = await desk();
  await at.signIn(backEnd.key);
  await at.tab('举报');
  const row = (content: string) => at.row(`关于 ${content}`);
  assert.ok((await row('广告一').innerText()).includes('诈骗'));
  await row('广告一').getByRole('button', { name: '不处理' }).click();
  await row('广告一').waitFor({ state: 'detached' });
  for (const [content, action] of [
    ['广告二', '撤回消息'],
    ['广告三', '禁言'],
    ['广告四', '封号'],
  ] as const) {
    await row(content).getByRole('button', { name: action }).click();
    await at.dialog.waitFor();
    await at.confirm();
    await at.says('举报已处理');
    await row(content).waitFor({ state: 'detached' });
    if (action === '撤回消息') {
      const states = (await said(good, bad.id)).map((chat) => chat.state);
      assert.deepEqual(states, [undefined, 'recalled', undefined, undefined]);
    } else {
      assert.equal((await restriction(bad.id))?.kind, action === '禁言' ? 'muted' : 'banned');
    }
  }
  at.assertQuiet();
});

test('a report leads to its conversation, which is read with a reason and where a chat is recalled', async () => {
  const [bad, good] = [await person('话多的人'), await person('听的人')];
  for (let count = 0; count < 60; count += 1) await bad.send(good.id, `第 ${count} 句`);
  const chat = (await said(good, bad.id)).at(-1)!;
  await server.post('/v1/reports', { chatId: chat.id, reason: 'spam' }, good.token);
  const at = await desk();
  await at.signIn(backEnd.key);
  await at.tab('举报');
  await at.row('第 59 句').getByRole('button', { name: '查看会话' }).click();
  const id = chat.conversationId as number;
  assert.equal(await at.page.locator('input[name=id]').inputValue(), String(id));
  // Without a reason nothing is read.
  await at.button('查看').click();
  await at.page.locator('input[name=reason]').fill('  ');
  await at.button('查看').click();
  assert.equal(await at.page.locator('tbody').count(), 0);
  await at.page.locator('input[name=reason]').fill('举报 1');
  await at.button('查看').click();
  await at.row('第 59 句').waitFor();
  await at.page.locator('main h2', { hasText: '单聊' }).waitFor();
  assert.ok(await backEnd.audited({ action: 'chats.read', subject: `conversation:${id}`, reason: '举报 1', outcome: 'ok' }));
  assert.equal(await at.row('第 9 句').count(), 0);
  await at.button('更早').click();
  await at.page.locator('tbody tr').nth(59).waitFor();
  assert.equal(await at.page.locator('tbody tr').count(), 60);
  await at.row('第 59 句').getByRole('button', { name: '撤回' }).click();
  await at.confirm();
  await at.says('消息已撤回');
  assert.equal((await said(good, bad.id)).at(-1)!.state, 'recalled');
  await at.page.locator('tbody i', { hasText: '已撤回' }).waitFor();

  await at.page.locator('input[name=id]').fill('999999');
  await at.button('查看').click();
  await at.page.locator('.problem', { hasText: '没有这个会话' }).first().waitFor();
  at.assertQuiet();
});

test('a person is found, restricted, freed, cut off, exported and erased', async () => {
  const [zhang, other] = [await person('张伟'), await person('张伟丽')];
  await zhang.send(other.id, '最后一句');
  await backEnd.send('PUT', '/users/crm-7', { name: '外部用户' });
  const at = await desk();
  await at.signIn(backEnd.key);
  await at.tab('用户');
  const search = async (by: string, text: string) => {
    await at.page.locator('.search select').selectOption(by);
    await at.page.locator('.search input').fill(text);
    await at.button('查找').click();
  };
  // The list from before has them too.
  const rows = (count: number) => eventually(`${count} rows`, async () => (await at.page.locator('tbody tr').count()) === count);
  await search('name', '张伟');
  await at.row('张伟丽').waitFor();
  await rows(2);
  await search('external', 'crm-7');
  await at.row('外部用户').waitFor();
  await rows(1);
  await search('id', 'x');
  await at.page.locator('.problem', { hasText: '请求无效' }).waitFor();
  await search('id', '999999');
  await at.page.getByText('没有找到。').waitFor();
  await search('id', String(zhang.id));
  await at.row('张伟').getByRole('button', { name: '张伟' }).click();
  await at.page.locator('h1', { hasText: '张伟' }).waitFor();

  await at.button('限制').click();
  await at.dialog.locator('select[name=kind]').selectOption('muted');
  await at.dialog.locator('input[name=until]').fill('2099-01-02T03:04');
  await at.dialog.locator('input[name=reason]').fill('刷屏');
  await at.confirm();
  await at.says('已限制');
  assert.deepEqual(await restriction(zhang.id), { kind: 'muted', until: '2099-01-01T19:04:00.000Z', reason: '刷屏' });
  await at.page.locator('.facts', { hasText: '刷屏' }).waitFor();
  await at.button('解除限制').click();
  await at.says('限制已解除');
  assert.equal(await restriction(zhang.id), null);
  await at.button('解除限制').waitFor({ state: 'detached' });

  const download = at.page.waitForEvent('download');
  await at.button('导出数据').click();
  const file = await download;
  assert.equal(file.suggestedFilename(), `user-${zhang.id}.tar`);
  assert.ok(fs.readFileSync(await file.path()).includes('最后一句'));

  // To the conversation, and back by whoever wrote there.
  await at.row('张伟丽').getByRole('button').click();
  await at.page.locator('input[name=reason]').fill('客诉');
  await at.button('查看').click();
  await at.row('最后一句').getByRole('button', { name: '张伟' }).click();
  await at.page.locator('h1', { hasText: '张伟' }).waitFor();

  await at.button('结束登录').click();
  await at.confirm();
  await at.says('登录已结束');
  const me = await fetch(`${server.url}/v1/me`, { headers: { authorization: `Bearer ${zhang.token}` } });
  assert.equal(me.status, 401);

  await at.button('抹除用户').click();
  await at.dialog.locator('input[name=id]').fill('1');
  await at.dialog.locator('button[type=submit]').click();
  await at.dialog.getByText('不一致').waitFor();
  assert.equal((await backEnd.list(`/users?user=id:${zhang.id}`, 'users')).length, 1);
  await at.dialog.locator('input[name=id]').fill(String(zhang.id));
  await at.confirm();
  await at.says('用户已抹除');
  assert.equal((await backEnd.list(`/users?user=id:${zhang.id}`, 'users')).length, 0);
  assert.deepEqual((await said(other, zhang.id)).map((chat) => chat.content), ['']);
  at.assertQuiet();
});

test('a delivery that failed is seen and repeated, and an endpoint replayed', async () => {
  await person('回调用户');
  await eventually('a delivery has failed', async () => {
    return (await backEnd.list('/webhooks/crm/deliveries', 'deliveries')).length > 0;
  });
  const at = await desk();
  await at.signIn(backEnd.key);
  await at.tab('回调');
  await at.row('crm').getByRole('button', { name: '投递记录' }).click();
  await at.page.locator('tbody tr', { hasText: 'status 500' }).first().waitFor();
  await at.button('重新投递').first().click();
  await at.says('已安排重新投递');
  assert.ok(await backEnd.audited({ action: 'webhooks.replay', outcome: 'ok' }));
  await at.button('返回').click();
  await at.row('crm').getByRole('button', { name: '从某时起重放' }).click();
  await at.dialog.locator('input[name=since]').fill('2020-01-01T00:00');
  await at.confirm();
  // What it says may still be of the first one.
  await eventually('both are in the audit', async () => {
    const entries = await backEnd.list('/audit?limit=100', 'entries');
    return entries.filter((entry) => entry.action === 'webhooks.replay' && entry.outcome === 'ok').length === 2;
  });
  at.assertQuiet();
});

test('a key is made, shown once, copied and revoked; the last one signs out', async () => {
  const at = await desk();
  await at.signIn(backEnd.key);
  await at.tab('密钥');
  await at.button('新建密钥').click();
  await at.dialog.locator('input[name=name]').fill('质检');
  await at.dialog.locator('button[type=submit]').click();
  await at.dialog.getByText('至少选择一项权限').waitFor();
  await at.dialog.getByLabel('moderation').check();
  await at.dialog.getByLabel('all', { exact: true }).check();
  await at.confirm();
  const secret = await at.page.locator('.secret code').innerText();
  assert.match(secret, /^imk_/);
  await at.button('复制').click();
  await at.says('已复制');
  assert.equal(await at.page.evaluate(() => navigator.clipboard.readText()), secret);
  await at.button('我已保存').click();
  assert.ok(!(await at.page.content()).includes(secret));
  await at.row('质检').waitFor();

  const second = await desk();
  await second.signIn(secret);
  await second.tab('密钥');
  await second.row('质检').getByRole('button', { name: '吊销' }).click();
  await second.dialog.getByText('当前登录的密钥').waitFor();
  await second.confirm();
  await second.page.locator('input.key').waitFor();
  const { status } = await backEnd.send('GET', '/key');
  assert.equal(status, 200, 'another one stays good');
  await at.button('刷新').click();
  await at.row('质检').getByText('已吊销').waitFor();
  at.assertQuiet();
  second.assertQuiet();
});

test('the audit log is read page by page', async () => {
  for (let count = 0; count < 60; count += 1) await backEnd.send('GET', '/key');
  const at = await desk();
  await at.signIn(backEnd.key);
  await at.tab('审计');
  await at.row('api_key.read').nth(40).waitFor();
  assert.equal(await at.page.locator('tbody tr').count(), 50);
  await at.button('更早').click();
  await at.page.locator('tbody tr').nth(51).waitFor();
  await at.row('ops').first().waitFor();
  at.assertQuiet();
});

test('a service that is gone is said in words', async () => {
  const at = await desk();
  await at.signIn(backEnd.key);
  await at.page.route('**/v1/admin/**', (route) => route.abort());
  await at.tab('待审');
  await at.page.locator('.problem', { hasText: '服务没有响应' }).waitFor();
  await at.page.unroute('**/v1/admin/**');
  await at.button('刷新').click();
  await at.page.locator('.problem').waitFor({ state: 'detached' });
  at.assertQuiet();
});
