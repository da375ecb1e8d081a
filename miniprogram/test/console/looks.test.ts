// How the console looks in both languages, at a desk and on a phone: screenshots for people, and measurements. And a
// walk without a mouse.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { DESKTOP, PHONE } from '../e2e/phone';
import { eventually, HELD, office, type Desk } from './desk';

const { server, backEnd, desk, person } = await office();

/** Something to see in every tab. */
async function busy(): Promise<void> {
  const [zhang, li] = [await person('张三'), await person('李四')];
  const long = '这是一条很长的消息，里面有链接 https://example.com/a-rather-long-address/that-has-to-be-broken-somewhere?x=1234567890 和很多文字，要看它怎么换行。';
  await zhang.send(li.id, '你好，在吗？');
  await li.send(zhang.id, long);
  for (const content of [`${HELD} vx12345，便宜出票`, `${HELD}：${long}`]) {
    await backEnd.send('POST', '/chats', { from: zhang.id, to: li.id, clientMsgId: crypto.randomUUID(), content });
  }
  const members = [zhang.id, li.id];
  const group = await backEnd.send('POST', '/conversations', { kind: 'group', externalId: 'order-20261128-0001', title: '订单 20261128 售后群', members });
  assert.equal(group.status, 201);
  await backEnd.send('PUT', '/users/customer-4711-with-a-long-external-id', { name: '一位名字比较长的外部系统用户' });
  await backEnd.send('PUT', `/users/id:${li.id}/restriction`, { kind: 'muted', reason: '多次发广告' });
  await server.post('/v1/reports', { reportedUserId: li.id, reason: 'spam' }, zhang.token);
  const answer = await fetch(`${server.url}/v1/events?since=0`, { headers: { authorization: `Bearer ${zhang.token}` } });
  const { events } = (await answer.json()) as { events: { chat?: { id: number; userId: number } }[] };
  const chatId = events.find(({ chat }) => chat?.userId === li.id)!.chat!.id;
  await server.post('/v1/reports', { chatId, reason: 'fraud', detail: '说是官方客服，要我转账' }, zhang.token);
  await backEnd.send('POST', '/keys', { name: '订单系统', scopes: ['users', 'sessions', 'chats', 'conversations', 'feed'] });
  await eventually('a delivery has failed', async () => {
    return (await backEnd.list('/webhooks/crm/deliveries', 'deliveries')).length > 0;
  });
}

await busy();

const WORDS = {
  zh: { locale: 'zh-CN', held: '待审', reports: '举报', people: '用户', talks: '会话', webhooks: '回调', keys: '密钥', audit: '审计', deliveries: '投递记录', open: '查看', refuse: '拒绝', create: '新建密钥', erase: '抹除用户', restrict: '限制', cancel: '取消' },
  en: { locale: 'en-GB', held: 'Held', reports: 'Reports', people: 'People', talks: 'Conversations', webhooks: 'Webhooks', keys: 'Keys', audit: 'Audit', deliveries: 'Deliveries', open: 'Read', refuse: 'Refuse', create: 'New key', erase: 'Erase user', restrict: 'Restrict', cancel: 'Cancel' },
};

for (const [language, words] of Object.entries(WORDS)) {
  for (const [size, viewport, dark] of [
    ['phone', PHONE, false],
    ['desktop', DESKTOP, false],
    ['dark', DESKTOP, true],
  ] as const) {
    test(`every tab, ${language}, ${size}`, async () => {
      const at = await desk({ viewport, locale: words.locale, dark });
      const look = async (what: string) => {
        await at.page.locator('.empty[role=status]').waitFor({ state: 'detached' });
        await at.shoot(`console-${what}-${language}-${size}`);
        await at.assertFits(what);
      };
      const ask = async (button: string, what: string) => {
        await at.button(button).first().click();
        await at.dialog.waitFor();
        await look(what);
        await at.dialog.getByRole('button', { name: words.cancel }).click();
        await at.dialog.waitFor({ state: 'detached' });
      };
      await at.page.locator('input.key').waitFor();
      assert.equal(await at.page.locator('html').getAttribute('lang'), language === 'zh' ? 'zh-CN' : 'en');
      await look('sign-in');
      await at.signIn(backEnd.key);
      await at.page.locator('.figure').first().waitFor();
      await look('overview');
      await at.tab(words.held);
      await at.row('vx12345').waitFor();
      await look('held');
      await ask(words.refuse, 'refuse');
      await at.tab(words.reports);
      await at.row('官方客服').waitFor();
      await look('reports');
      await at.tab(words.people);
      await at.row('customer-4711').waitFor();
      await look('people');
      await at.row('李四').getByRole('button').click();
      await at.row('订单 20261128').waitFor();
      await look('person');
      await ask(words.restrict, 'restrict');
      await ask(words.erase, 'erase');
      await at.row('张三').getByRole('button').click();
      await at.page.locator('input[name=reason]').fill('客诉 4711');
      await at.button(words.open).click();
      await at.row('在吗').waitFor();
      await look('conversation');
      await at.tab(words.webhooks);
      await at.row('crm').waitFor();
      await look('webhooks');
      await at.button(words.deliveries).click();
      await at.page.locator('tbody tr').first().waitFor();
      await look('deliveries');
      await at.tab(words.keys);
      await at.row('订单系统').waitFor();
      await look('keys');
      await ask(words.create, 'new-key');
      await at.tab(words.audit);
      await at.page.locator('tbody tr').first().waitFor();
      await look('audit');
      at.assertQuiet();
    });
  }
}

/** Presses Tab until this has the focus, which shows that it has it. */
async function tabTo(at: Desk, name: string): Promise<void> {
  for (let count = 0; count < 60; count += 1) {
    await at.page.keyboard.press('Tab');
    const { text, outline } = await at.page.evaluate(() => {
      const element = document.activeElement;
      if (!(element instanceof HTMLElement)) return { text: '', outline: '' };
      const label = element.textContent;
      return { text: label.trim(), outline: getComputedStyle(element).outlineStyle };
    });
    if (text !== name) continue;
    assert.equal(outline, 'solid', `${name} shows that it has the focus`);
    return;
  }
  throw new Error(`${name} cannot be reached by Tab`);
}

test('all is done without a mouse, and the focus comes back from a question', async () => {
  const at = await desk();
  const { keyboard } = at.page;
  await at.page.locator('input.key:focus').waitFor();
  await keyboard.type(backEnd.key);
  await keyboard.press('Enter');
  await at.page.locator('nav').waitFor();
  await tabTo(at, '待审');
  await keyboard.press('Enter');
  await at.row('vx12345').waitFor();
  await tabTo(at, '拒绝');
  await keyboard.press('Enter');
  await at.dialog.locator('input:focus').waitFor();
  await keyboard.press('Escape');
  await at.dialog.waitFor({ state: 'detached' });
  assert.equal(await at.page.evaluate(() => document.activeElement?.textContent), '拒绝');
  await keyboard.press('Enter');
  await at.dialog.locator('input:focus').waitFor();
  await keyboard.type('不行');
  await keyboard.press('Enter');
  await at.says('已拒绝');
  assert.ok(await backEnd.audited({ action: 'held.refuse', outcome: 'ok' }));
  // In a question one stays within it.
  await keyboard.press('Shift+Tab');
  await tabTo(at, '密钥');
  await keyboard.press('Enter');
  await tabTo(at, '新建密钥');
  await keyboard.press('Enter');
  await at.dialog.locator('input:focus').waitFor();
  for (let count = 0; count < 30; count += 1) {
    await keyboard.press('Tab');
    const isOutside = await at.page.evaluate(() => {
      const element = document.activeElement;
      return element !== document.body && element?.closest('dialog') === null;
    });
    assert.equal(isOutside, false);
  }
  at.assertQuiet();
});

test('the language is turned where one is, and what is typed stays', async () => {
  const at = await desk({ locale: 'fr-FR' });
  await at.page.getByText('API key').first().waitFor();
  await at.signIn(backEnd.key);
  await at.tab('Conversations');
  await at.page.locator('input[name=id]').fill('7');
  await at.page.getByRole('button', { name: '中文' }).click();
  await at.page.locator('nav button', { hasText: '审计' }).waitFor();
  assert.equal(await at.page.locator('input[name=id]').inputValue(), '7');
  assert.equal(await at.page.title(), 'imserver 管理台');
  at.assertQuiet();
});
