// The menu of a bubble, quotes, mentions, drafts, and the way to what is unread.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Locator } from 'playwright-core';

import { inAnyPart } from '../selectors';
import { eventually, type Phone } from './phone';
import { world } from './world';

const { server, phone, pair } = await world('limits.enabled=false', 'chat.recall_secs=3600');

/** Opens the menu of a bubble. */
async function press(who: Phone, text: string): Promise<void> {
  // Not one that quotes it.
  const words = who.page.locator(inAnyPart('.text'), { hasText: text });
  await who.hold(who.bubbles.filter({ has: words }).last().locator('.bubble'), choice(who).first());
}

function choice(who: Phone, text = ''): Locator {
  return who.screen.locator('.choice', { hasText: text });
}

/** Chooses from the menu of a bubble. */
async function choose(who: Phone, text: string, action: string): Promise<void> {
  await press(who, text);
  await choice(who, action).click();
  await choice(who).first().waitFor({ state: 'detached' });
}

async function answer(who: Phone, text: string): Promise<void> {
  await who.page.locator('.mp-modal button', { hasText: text }).click();
}

async function gone(who: Phone, text: string): Promise<void> {
  await eventually(`${text} is gone`, async () => (await who.bubble(text).count()) === 0);
}

/** A group of two, made by 赵六 and opened on both phones. */
async function group(title: string): Promise<{ zhao: Phone; sun: Phone }> {
  const [owner, other] = [await server.person('赵六'), await server.person('孙七')];
  await server.post('/v1/conversations', { kind: 'group', key: `group-${owner.id}`, title, userIds: [other.id] }, owner.token);
  const [zhao, sun] = [await phone(), await phone()];
  await zhao.signIn('赵六');
  await sun.signIn('孙七');
  return { zhao, sun };
}

test('a chat is taken back on both phones, and its words are written again', async () => {
  const { zhang, li } = await pair();
  await zhang.send('说错了');
  await li.openChat('张三');
  await li.sees('说错了');
  // What is on its way cannot be taken back.
  await zhang.noted('说错了', '已读');
  await choose(zhang, '说错了', '撤回');
  await li.screen.locator('.time', { hasText: '张三撤回了一条消息' }).waitFor();
  const line = zhang.screen.locator('.time', { hasText: '你撤回了一条消息' });
  await line.waitFor();
  await gone(zhang, '说错了');
  await gone(li, '说错了');
  await zhang.shoot('menu-recalled');
  // Also where one would speak.
  await zhang.screen.locator('composer .mic').click();
  await zhang.field.waitFor({ state: 'hidden' });
  await line.locator('.again', { hasText: '重新编辑' }).click();
  await zhang.field.waitFor();
  await eventually('its words are written', async () => (await zhang.field.inputValue()) === '说错了');
  // After leaving and coming back, too.
  await zhang.back();
  await zhang.openChat('李四');
  await zhang.screen.locator('.again').waitFor();
  assert.equal(await zhang.field.inputValue(), '说错了');
  // What another person wrote cannot be taken back.
  await li.send('没事');
  await li.noted('没事', '已读');
  await press(li, '没事');
  assert.equal(await choice(li, '撤回').count(), 1);
  await li.page.keyboard.press('Escape');
  await zhang.sees('没事');
  await press(zhang, '没事');
  assert.equal(await choice(zhang, '撤回').count(), 0);
  zhang.assertQuiet();
  li.assertQuiet();
});

test('the menu stays on the screen, and is reached by keyboard', async () => {
  const { zhang } = await pair();
  for (let line = 0; line < 12; line++) await zhang.send(`第${line}句，这一句比较长，要占两行才放得下`);
  await zhang.send('短');
  await zhang.noted('短', '未读');
  const { width, height } = { width: 375, height: 812 };
  for (const text of ['短', '第6句', '第11句']) {
    await press(zhang, text);
    const panel = zhang.screen.locator('#panel');
    await eventually('the panel is placed', async () => (await panel.evaluate((each) => getComputedStyle(each).opacity)) === '1');
    const box = await panel.boundingBox();
    assert.ok(box && box.x >= 0 && box.x + box.width <= width && box.y >= 0 && box.y + box.height <= height, text);
    await zhang.shoot(`menu-${text}`);
    await zhang.page.mouse.click(10, 800);
    await choice(zhang).first().waitFor({ state: 'detached' });
  }
  const bubble = zhang.bubble('短').locator('.bubble');
  await bubble.focus();
  await zhang.page.keyboard.press('Enter');
  await choice(zhang, '引用').waitFor();
  await eventually('the first choice has the focus', () => choice(zhang, '复制').evaluate((each) => each === document.activeElement));
  await zhang.page.keyboard.press('Escape');
  await choice(zhang).first().waitFor({ state: 'detached' });
  await eventually('the bubble has it again', () => bubble.evaluate((each) => each === document.activeElement));
  await zhang.inChatWith('李四');
  zhang.assertQuiet();
});

test('a quote stands in the composer, in the chat, and leads to what it quotes', async () => {
  const { zhang, li } = await pair();
  const [a, b] = [await server.person('张三'), await server.person('李四')];
  await zhang.send('在吗');
  await li.openChat('张三');
  await li.send('周六爬山吗');
  await zhang.sees('周六爬山吗');
  await choose(zhang, '周六爬山吗', '引用');
  await zhang.screen.locator('.quote', { hasText: '李四: 周六爬山吗' }).waitFor();
  await zhang.shoot('menu-quoting');
  await zhang.screen.locator('.unquote').click();
  await zhang.screen.locator('.quote').waitFor({ state: 'detached' });
  await choose(zhang, '周六爬山吗', '引用');
  await zhang.send('去');
  await zhang.screen.locator('.quote').waitFor({ state: 'detached' });
  await li.bubble('去').locator('.quoted', { hasText: '李四: 周六爬山吗' }).waitFor();
  // Far below, the quote leads back up.
  for (let n = 0; n < 70; n++) await a.send(b.id, `闲聊 ${n}`);
  await li.sees('闲聊 69');
  await choose(li, '闲聊 69', '引用');
  await li.send('对');
  await zhang.sees('对');
  const quoted = zhang.bubble('去').locator('.quoted');
  await quoted.click();
  await eventually('the quoted chat is on the screen', async () => {
    const box = await zhang.bubble('周六爬山吗').first().boundingBox();
    return !!box && box.y >= 0 && box.y < 400;
  });
  zhang.assertQuiet();
  li.assertQuiet();
});

test('a quote of a chat that is not loaded loads it, and one that was taken back says so', async () => {
  const { zhang, li } = await pair();
  const [a, b] = [await server.person('张三'), await server.person('李四')];
  const early = await a.send(b.id, '很早的一句');
  for (let n = 0; n < 110; n++) await a.send(b.id, `后来 ${n}`);
  await zhang.sees('后来 109');
  await choose(zhang, '很早的一句', '引用');
  await zhang.send('引用很早');
  await li.openChat('张三');
  await li.sees('引用很早');
  assert.equal(await li.bubble('很早的一句').first().locator('.text').textContent(), '引用很早', 'it is not loaded');
  await li.bubble('引用很早').locator('.quoted').click();
  await eventually('it is loaded, and on the screen', async () => {
    const box = await li.screen.locator('.text', { hasText: /^很早的一句$/ }).boundingBox();
    return !!box && box.y >= 0 && box.y < 812;
  });
  // The menu offers it for two minutes only, in which a slow machine may not get here.
  await server.post(`/v1/chats/${early}/recall`, {}, a.token);
  await li.screen.locator('.below').click();
  await li.screen.locator('.quoted', { hasText: '已撤回' }).waitFor();
  await li.bubble('引用很早').locator('.quoted').click();
  await li.toasted('找不到这条消息');
  zhang.assertQuiet();
  li.assertQuiet();
});

test('what is deleted for oneself is gone on all of one’s phones, and stays with the other', async () => {
  const { zhang, li } = await pair();
  const second = await phone();
  await second.signIn('张三');
  await zhang.send('只在我这里删');
  await li.openChat('张三');
  await li.sees('只在我这里删');
  await second.openChat('李四');
  await second.sees('只在我这里删');
  await choose(zhang, '只在我这里删', '删除');
  await zhang.page.locator('.mp-modal', { hasText: '删除这条消息？' }).waitFor();
  await answer(zhang, '取消');
  await zhang.sees('只在我这里删');
  await choose(zhang, '只在我这里删', '删除');
  await answer(zhang, '删除');
  await gone(zhang, '只在我这里删');
  await gone(second, '只在我这里删');
  await li.sees('只在我这里删');
  for (const each of [zhang, li, second]) each.assertQuiet();
});

test('chats are forwarded, one and several, and several are deleted', async () => {
  const { zhang, li } = await pair();
  const wang = await phone();
  await wang.signIn('王五');
  await wang.find('张三');
  await wang.send('我是王五');
  await zhang.send('第一条');
  await zhang.send('第二条');
  await zhang.send('第三条');
  await zhang.noted('第三条', '未读');
  await choose(zhang, '第一条', '转发');
  const row = zhang.screen.locator('pick-sheet .row', { hasText: '王五' });
  await row.waitFor();
  await zhang.shoot('menu-forward');
  await zhang.page.goBack();
  await row.waitFor({ state: 'detached' });
  await zhang.inChatWith('李四');
  await choose(zhang, '第一条', '转发');
  await row.click();
  await zhang.page.locator('.mp-modal', { hasText: '发送给“王五”？' }).waitFor();
  await answer(zhang, '发送');
  await zhang.toasted('已发送');
  await wang.sees('第一条');

  await choose(zhang, '第二条', '多选');
  const covers = zhang.screen.locator('.cover');
  await covers.last().click();
  await zhang.screen.locator('.pick-count', { hasText: '已选择 2' }).waitFor();
  await zhang.shoot('menu-pick');
  await zhang.screen.locator('.pick', { hasText: '转发' }).click();
  await row.click();
  await answer(zhang, '发送');
  await wang.sees('第三条');
  assert.deepEqual((await wang.texts()).slice(-3), ['第一条', '第二条', '第三条']);

  await choose(zhang, '第二条', '多选');
  await covers.last().click();
  await zhang.screen.locator('.pick', { hasText: '删除' }).click();
  await zhang.page.locator('.mp-modal', { hasText: '删除这 2 条消息？' }).waitFor();
  await answer(zhang, '删除');
  await gone(zhang, '第三条');
  assert.ok(!(await zhang.texts()).includes('第二条'));
  await zhang.field.waitFor();
  for (const each of [zhang, li, wang]) each.assertQuiet();
});

test('a chat is reported with a reason', async () => {
  const { zhang, li } = await pair();
  await zhang.send('加我领红包');
  await li.openChat('张三');
  await li.sees('加我领红包');
  await choose(li, '加我领红包', '举报');
  await li.page.locator('.mp-sheet button', { hasText: '欺诈骗钱' }).click();
  await answer(li, '确定');
  await li.toasted('举报已提交，我们会尽快处理');
  zhang.assertQuiet();
  li.assertQuiet();
});

test('somebody in a group is mentioned, and everybody by the owner alone', async () => {
  const { zhao, sun } = await group('爬山群');
  await zhao.openChat('爬山群');
  await sun.openChat('爬山群');
  await zhao.field.fill('');
  await zhao.field.pressSequentially('早 @');
  const rows = zhao.screen.locator('pick-sheet .row');
  await rows.filter({ hasText: '孙七' }).waitFor();
  assert.deepEqual(await rows.locator('.name').allTextContents(), ['所有人', '孙七']);
  await zhao.shoot('menu-mention');
  await rows.filter({ hasText: '孙七' }).click();
  assert.equal(await zhao.field.inputValue(), '早 @孙七 ');
  await zhao.field.pressSequentially('几点');
  await zhao.field.press('Enter');
  await sun.bubble('几点').locator('.mention', { hasText: '@孙七' }).waitFor();
  // A member calls nobody but members.
  await sun.field.pressSequentially('@');
  const seen = sun.screen.locator('pick-sheet .row');
  await seen.first().waitFor();
  assert.deepEqual(await seen.locator('.name').allTextContents(), ['赵六']);
  await sun.page.keyboard.press('Escape');
  await seen.first().waitFor({ state: 'detached' });
  await sun.inChatWith('爬山群');
  zhao.assertQuiet();
  sun.assertQuiet();
});

test('a conversation with much unread offers the way to the first of it', async () => {
  const { zhang, li } = await pair();
  const [a, b] = [await server.person('张三'), await server.person('李四')];
  await zhang.send('看过的');
  await li.openChat('张三');
  await li.sees('看过的');
  await zhang.noted('看过的', '已读');
  await li.back();
  for (let n = 0; n < 70; n++) await a.send(b.id, `未读 ${n}`);
  await li.row('张三').locator('.badge', { hasText: '70' }).waitFor();
  await li.openChat('张三');
  await li.sees('未读 69');
  const pill = li.screen.locator('.above', { hasText: '70条新消息' });
  await pill.waitFor();
  await li.shoot('menu-unread');
  await pill.click();
  await li.screen.locator('.new', { hasText: '以下为新消息' }).waitFor();
  await eventually('the first unread chat is at the top', async () => {
    const [line, first] = [await li.screen.locator('.new').boundingBox(), await li.bubble('未读 0').boundingBox()];
    return !!line && !!first && line.y > 0 && line.y < first.y && first.y < 400;
  });
  await li.shoot('menu-unread-line');
  await pill.waitFor({ state: 'detached' });
  // A few unread chats are on the screen anyway.
  await li.back();
  await a.send(b.id, '再来一句');
  await li.row('张三').locator('.badge', { hasText: '1' }).waitFor();
  await li.openChat('张三');
  await li.sees('再来一句');
  assert.equal(await pill.count(), 0);
  zhang.assertQuiet();
  li.assertQuiet();
});

test('a draft is kept by account and conversation, also on another phone, until it is sent', async () => {
  const { zhang, li } = await pair();
  await zhang.send('你好');
  await zhang.noted('你好', '未读');
  await zhang.field.fill('还没写完');
  await zhang.back();
  await zhang.openChat('李四');
  assert.equal(await zhang.field.inputValue(), '还没写完');
  const second = await phone();
  await second.signIn('张三');
  await second.openChat('李四');
  await eventually('the other phone has it', async () => {
    if ((await second.field.inputValue()) === '还没写完') return true;
    await second.back();
    await second.openChat('李四');
    return false;
  });
  // Another account on the same phone sees nothing of it.
  await li.openChat('张三');
  assert.equal(await li.field.inputValue(), '');
  await second.screen.locator('composer .send').click();
  await li.sees('还没写完');
  await second.back();
  await second.openChat('李四');
  assert.equal(await second.field.inputValue(), '');
  for (const each of [zhang, li, second]) each.assertQuiet();
});

test('what is too long is counted, and not cut', async () => {
  const { zhang, li } = await pair();
  const count = zhang.screen.locator('composer .count');
  await zhang.field.fill('字'.repeat(1899));
  assert.equal(await count.count(), 0);
  await zhang.field.fill('😀'.repeat(1990));
  await count.filter({ hasText: '1990/2000' }).waitFor();
  await zhang.field.fill('字'.repeat(2005));
  await count.filter({ hasText: '2005/2000' }).waitFor();
  await zhang.toasted('超出 5 个字，最多 2000 字');
  await zhang.screen.locator('composer .send').click();
  assert.equal((await zhang.field.inputValue()).length, 2005);
  await zhang.shoot('menu-count');
  await zhang.field.fill('😀'.repeat(2000));
  await zhang.screen.locator('composer .send').click();
  await li.openChat('张三');
  await li.sees('😀'.repeat(2000));
  zhang.assertQuiet();
  li.assertQuiet();
});

test('links, numbers and addresses can be tapped', async () => {
  const { zhang, li } = await pair();
  await zhang.send('看 https://example.com/a ，打 13812345678，写 li@example.com');
  await li.openChat('张三');
  await li.screen.locator('.link', { hasText: 'https://example.com/a' }).click();
  await li.page.locator('.mp-sheet button', { hasText: '复制链接' }).click();
  await eventually('the link is copied', async () => (await li.page.evaluate(() => navigator.clipboard.readText())) === 'https://example.com/a');
  await li.screen.locator('.phone', { hasText: '13812345678' }).click();
  await li.page.locator('.mp-sheet button', { hasText: '呼叫 13812345678' }).waitFor();
  await li.shoot('menu-phone');
  await li.page.locator('.mp-sheet button', { hasText: '复制号码' }).click();
  await eventually('the number is copied', async () => (await li.page.evaluate(() => navigator.clipboard.readText())) === '13812345678');
  await li.screen.locator('.mail', { hasText: 'li@example.com' }).click();
  await li.page.locator('.mp-sheet button', { hasText: '复制邮箱' }).click();
  await eventually('the address is copied', async () => (await li.page.evaluate(() => navigator.clipboard.readText())) === 'li@example.com');
  zhang.assertQuiet();
  li.assertQuiet();
});

test('a chat that waits has a spinner, then a clock, and can be cancelled', async () => {
  const { zhang, li } = await pair();
  await zhang.send('先发一句');
  await zhang.noted('先发一句', '未读');
  await zhang.page.context().setOffline(true);
  await server.kill();
  await zhang.send('发不出去');
  const opacity = (name: string) => zhang.bubble('发不出去').locator(`.${name}`).evaluate((each) => getComputedStyle(each).opacity);
  await eventually('a spinner', async () => (await opacity('spinner')) === '1');
  assert.equal(await opacity('clock'), '0');
  await eventually('a clock', async () => (await opacity('clock')) === '1' && (await opacity('spinner')) === '0');
  await zhang.shoot('menu-clock');
  await choose(zhang, '发不出去', '取消发送');
  await gone(zhang, '发不出去');
  await zhang.page.context().setOffline(false);
  await server.start();
  await li.openChat('张三');
  await zhang.send('发得出去');
  await li.sees('发得出去');
  assert.ok(!(await li.texts()).includes('发不出去'));
});
