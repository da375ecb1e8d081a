// What people do to the conversations of the list, and to the people in it.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { eventually, type Phone } from './phone';
import { world } from './world';

const { phone, pair, server } = await world();

/** Opens the menu of a row by a long press of the mouse's right button, and chooses. */
async function choose(of: Phone, name: string, text: string): Promise<void> {
  await of.row(name).click({ button: 'right' });
  await of.page.locator('.mp-sheet button', { hasText: text }).click();
}

const names = (of: Phone) => of.screen.locator('.row .name').allTextContents();
const yes = (of: Phone) => of.page.locator('.mp-modal .mp-confirm').click();

/** 吴九's list with three people in it, 王五 on top. */
async function three() {
  const li = await phone({ touch: true });
  await li.signIn('吴九');
  const { id, token } = await server.person('吴九');
  const send = async (name: string, text: string) => (await server.person(name)).send(id, text);
  for (const name of ['赵六', '张三', '王五']) await send(name, `我是${name}`);
  await li.row('我是王五').waitFor();
  /** Whether the conversation with somebody is marked as unread, and all of it read, as the service knows it. */
  const markedUnread = async (name: string) => {
    const list = (await server.get('/v1/conversations', token)) as { conversations: { peer: { name: string }; unread: number; markedUnread: boolean }[] };
    const row = list.conversations.find(({ peer }) => peer.name === name);
    return row?.unread === 0 && row.markedUnread;
  };
  return { li, id, send, markedUnread };
}

/** Swipes a row to the left. */
async function swipe(of: Phone, name: string): Promise<void> {
  // The list is at rest.
  await of.row(name).tap({ trial: true });
  const box = await of.row(name).boundingBox();
  if (!box) throw new Error(`there is no row of ${name}`);
  const y = box.y + box.height / 2;
  const touch = await of.page.context().newCDPSession(of.page);
  const send = (type: 'touchStart' | 'touchMove' | 'touchEnd', x?: number) =>
    touch.send('Input.dispatchTouchEvent', { type, touchPoints: x === undefined ? [] : [{ x, y }] });
  // All at once: a finger that waits for a slow machine presses long.
  await Promise.all([
    send('touchStart', 300),
    ...[280, 250, 220, 180].map((x) => send('touchMove', x)),
    send('touchEnd'),
  ]);
}

test('a chat is not opened a second time from its info page', async () => {
  const { zhang, li } = await pair();
  await zhang.send('在吗');
  await li.openChat('张三');
  await li.screen.locator('.info').click();
  await li.screen.locator('im-direct .tile').first().click();
  await li.screen.locator('im-profile .write').click();
  await li.inChatWith('张三');
  await li.back();
  await li.row('张三').waitFor();
  li.assertQuiet();
});

test('pinned, muted, marked as unread, hidden and deleted', async () => {
  const { li, send, markedUnread } = await three();
  await li.page.locator('.mp-tabs b', { hasText: '3' }).waitFor();

  await choose(li, '赵六', '置顶该聊天');
  await eventually('赵六 is on top', async () => (await names(li))[0] === '赵六');
  await li.screen.locator('.row.pinned', { hasText: '赵六' }).waitFor();

  // Muted: an icon, a dot instead of the number, and no part of the total.
  await choose(li, '张三', '消息免打扰');
  await li.row('张三').locator('.mute').waitFor();
  await li.row('张三').locator('.small').waitFor();
  await li.page.locator('.mp-tabs b', { hasText: '2' }).waitFor();
  await send('张三', '又一句');
  await li.row('张三').locator('.preview', { hasText: '[2条] 又一句' }).waitFor();
  await li.page.locator('.mp-tabs b', { hasText: '2' }).waitFor();

  await choose(li, '王五', '标为已读');
  await li.row('王五').locator('.badge').waitFor({ state: 'detached' });
  await li.page.locator('.mp-tabs b', { hasText: '1' }).waitFor();
  // The read mark is on its way yet.
  await choose(li, '王五', '标为未读');
  await li.row('王五').locator('.small').waitFor();
  await eventually('the service knows that it was read, and then marked', async () => await markedUnread('王五'));
  await li.shoot('list');

  // A hidden one comes back with its next chat.
  await swipe(li, '王五');
  await li.screen.locator('.action', { hasText: '不显示' }).waitFor();
  await li.shoot('list-swipe');
  await li.screen.locator('.action', { hasText: '不显示' }).tap();
  await li.row('王五').waitFor({ state: 'detached' });
  await send('王五', '还在吗');
  await li.row('王五').locator('.preview', { hasText: '还在吗' }).waitFor();

  // A deleted one has lost its chats.
  await swipe(li, '王五');
  await li.screen.locator('.action', { hasText: '删除' }).tap();
  await yes(li);
  await li.row('王五').waitFor({ state: 'detached' });
  await send('王五', '新的开始');
  await li.row('王五').tap();
  await li.sees('新的开始');
  assert.deepEqual(await li.texts(), ['新的开始']);
  li.assertQuiet();
});

test('a keyboard opens the menu of a row, and a tap beside a swiped row closes it', async () => {
  const { li } = await three();
  await li.row('张三').focus();
  await li.page.keyboard.press('ContextMenu');
  await li.page.locator('.mp-sheet button', { hasText: '置顶该聊天' }).waitFor();
  await li.page.keyboard.press('Escape');
  await swipe(li, '王五');
  await li.screen.locator('.action').first().waitFor();
  await li.row('王五').tap();
  await li.screen.locator('.action').first().waitFor({ state: 'detached' });
  await li.row('我是王五').waitFor();
  li.assertQuiet();
});

test('somebody is blocked, reported and unblocked', async () => {
  const { zhang, li } = await pair();
  await zhang.send('在吗');
  await li.openChat('张三');
  await li.screen.locator('.info').click();
  await li.screen.locator('im-direct .row', { hasText: '加入黑名单' }).locator('wx-switch').click();
  await yes(li);
  await li.toasted('已加入黑名单');
  const on = () => li.screen.locator('wx-switch').evaluateAll((all) => all.map((each) => each.ariaChecked));
  assert.deepEqual(await on(), ['false', 'false', 'true']);
  await li.screen.locator('im-direct .row', { hasText: '举报' }).click();
  await li.page.locator('.mp-sheet button', { hasText: '辱骂或骚扰' }).click();
  await li.page.locator('.mp-modal input').fill('一直骂人');
  await yes(li);
  await li.toasted('举报已提交，我们会尽快处理');
  await li.shoot('direct-info');

  await zhang.send('为什么不理我');
  await zhang.screen.locator('.reason', { hasText: '拒收' }).waitFor();
  await zhang.back();
  await zhang.row('李四').locator('.failed').waitFor();

  await li.back();
  await li.back();
  await li.page.locator('.mp-tabs button', { hasText: '我' }).click();
  await li.screen.locator('.row', { hasText: '黑名单' }).click();
  await li.screen.locator('im-blocked .called', { hasText: '张三' }).waitFor();
  await li.shoot('blocked');
  await li.screen.locator('im-blocked .unblock').click();
  await li.screen.locator('.hint', { hasText: '黑名单里没有人' }).waitFor();
  await zhang.openChat('李四');
  await zhang.send('好了吗');
  await zhang.noted('好了吗', '未读');
  zhang.assertQuiet();
  li.assertQuiet();
});

test('a search finds people and conversations by any part of the name', async () => {
  const { li } = await three();
  await li.screen.locator('.start').tap();
  await li.screen.locator('.search input').fill('三');
  await li.screen.locator('.row', { hasText: '张三' }).waitFor();
  await li.shoot('search');
  li.assertQuiet();
});
