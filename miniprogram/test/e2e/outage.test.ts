// The server dies, tabs are reloaded, sessions end: nothing is lost or duplicated.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { eventually, type Phone } from './phone';
import { world } from './world';

const { server, phone, pair } = await world();

/** The complaints, without the browser's own about a server that is away. */
function withoutRefusals({ complaints }: Phone): string[] {
  return complaints.filter((text) => !/Failed to load resource|WebSocket connection to/.test(text));
}

/** Moves the tab to the background or the foreground. */
async function setHidden(of: Phone, isHidden: boolean): Promise<void> {
  await of.page.evaluate((hidden) => {
    Object.defineProperty(document, 'hidden', { configurable: true, value: hidden });
    document.dispatchEvent(new Event('visibilitychange'));
  }, isHidden);
}

/** The token that a tab holds. */
async function tokenOf(of: Phone): Promise<string> {
  return of.page.evaluate(() => {
    const text = JSON.parse(sessionStorage.getItem('tab:account') ?? '""') as string;
    return (JSON.parse(text) as { session: { token: string } }).session.token;
  });
}

test('a chat that is written while the server is down is sent when it is back', async () => {
  const { zhang, li } = await pair();
  await zhang.send('之前');
  await li.openChat('张三');
  await li.sees('之前');
  await server.kill();
  await zhang.screen.locator('connection-bar', { hasText: '连接中断' }).waitFor();
  await zhang.send('断线时发的一');
  await zhang.send('断线时发的二');
  await zhang.bubble('断线时发的二').locator('.spinner').waitFor();

  await server.start();
  await li.sees('断线时发的二');
  await zhang.noted('断线时发的二', '已读');
  assert.deepEqual((await li.texts()).slice(-3), ['之前', '断线时发的一', '断线时发的二']);
  assert.deepEqual((await zhang.texts()).slice(-3), ['之前', '断线时发的一', '断线时发的二']);
  await eventually('the bar is gone', async () => {
    return (await zhang.screen.locator('connection-bar').textContent()) === '';
  });
  assert.deepEqual([...withoutRefusals(zhang), ...withoutRefusals(li)], []);
});

test('a reload in the middle of a send loses and duplicates nothing', async () => {
  const { zhang, li } = await pair();
  await zhang.send('先说一句');
  await li.openChat('张三');
  const texts = Array.from({ length: 12 }, (_, at) => `重载${at}`);
  for (const [at, text] of texts.entries()) {
    await zhang.send(text);
    // At once, whether the chat is in flight, committed or acknowledged.
    if (at % 3 === 2) {
      await zhang.page.reload();
      await zhang.inChatWith('李四');
    }
  }
  await zhang.noted('重载11', '读');
  const mine = (all: string[]) => all.filter((text) => text.startsWith('重载'));
  assert.deepEqual(mine(await zhang.texts()), texts);
  await li.page.reload();
  await li.sees('重载11');
  assert.deepEqual(mine(await li.texts()), texts);
  // After the reload one can still go back.
  await zhang.back();
  await zhang.row('李四').waitFor();
  zhang.assertQuiet();
  li.assertQuiet();
});

test('a reload without a connection keeps unsent chats', async () => {
  const { zhang } = await pair();
  await zhang.send('在的时候');
  await zhang.noted('在的时候', '未读');
  // The page itself comes from the server, so only its sockets fail.
  await zhang.page.routeWebSocket(/imserver/, (socket) => socket.close({ code: 1012 }));
  await zhang.page.reload();
  await zhang.inChatWith('李四');
  await zhang.send('还没发出去');
  await zhang.bubble('还没发出去').locator('.spinner').waitFor();
  await zhang.page.reload();
  await zhang.bubble('还没发出去').locator('.spinner').waitFor();
  await zhang.back();
  await zhang.row('李四').locator('.preview', { hasText: '[未发送] 还没发出去' }).waitFor();
});

test('in WeChat, the background has no socket, and the foreground shows the missed chats', async () => {
  const { zhang, li } = await pair('/?like=wechat');
  await zhang.send('你好');
  await li.openChat('张三');
  await li.sees('你好');
  await setHidden(li, true);
  await zhang.screen.locator('.presence', { hasText: '最后在线' }).waitFor();
  await zhang.send('你走开时发的');
  await zhang.noted('你走开时发的', '未读');
  await setHidden(li, false);
  await li.sees('你走开时发的');
  await zhang.noted('你走开时发的', '已读');
  zhang.assertQuiet();
  li.assertQuiet();
});

test('a hidden tab stays connected, and marks nothing as read until it is shown', async () => {
  const { zhang, li } = await pair();
  await zhang.send('你好');
  await li.openChat('张三');
  await zhang.noted('你好', '已读');
  await setHidden(li, true);
  await zhang.send('你没在看');
  await eventually('it has come', async () => (await li.page.title()).startsWith('(1) '));
  await zhang.noted('你没在看', '未读');
  await zhang.screen.locator('.presence', { hasText: '在线' }).waitFor();
  // What nobody sees is not drawn.
  await setHidden(li, false);
  await li.sees('你没在看');
  await zhang.noted('你没在看', '已读');
  zhang.assertQuiet();
  li.assertQuiet();
});

test('a token that was revoked in the background is replaced silently', async () => {
  const { zhang, li } = await pair();
  await zhang.send('你好');
  await li.openChat('张三');
  await li.sees('你好');
  await setHidden(li, true);
  const old = await tokenOf(li);
  await server.post('/v1/logout', {}, old);
  await zhang.send('令牌过期后');
  await setHidden(li, false);
  await li.sees('令牌过期后');
  assert.notEqual(await tokenOf(li), old);
  zhang.assertQuiet();
});

test('two tabs of one browser are two people', async () => {
  const first = await phone();
  await first.signIn('甲');
  const second = await first.page.context().newPage();
  await second.goto(server.url);
  await second.locator('wx-button', { hasText: '进入' }).waitFor();
  await first.page.reload();
  await first.listed();
});
