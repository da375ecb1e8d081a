// A long conversation: pages of history, and the position of the list.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { eventually, type Phone } from './phone';
import { world } from './world';

const { server, phone } = await world('limits.enabled=false');

/** Opens 李四's list with one conversation of this many chats: `第1条` and so on. */
async function reader(count: number, name: string) {
  const [writer, li] = [await server.person(name), await server.person(`${name}的朋友`)];
  for (let at = 1; at <= count; at++) await writer.send(li.id, `第${at}条`);
  const reading = await phone();
  await reading.signIn(`${name}的朋友`);
  await reading.openChat(name);
  await reading.sees(`第${count}条`);
  return { writer, li, reading };
}

async function atEnd(reading: Phone): Promise<void> {
  await eventually('the list is at its end', async () => (await reading.distanceToEnd()) < 2);
}

/** Scrolls to the top, again if the list was just scrolling to its end itself. */
async function scrollToTop(reading: Phone): Promise<void> {
  const scroll = () =>
    reading.list.evaluate((list) => {
      list.scrollTop = 0;
    });
  await scroll();
  await eventually('the list shows the way to the end', async () => {
    if ((await reading.distanceToEnd()) < 2) await scroll();
    return reading.screen.locator('.below').isVisible();
  });
}

/** Scrolls away from the end, again if the list was just scrolling there itself. */
async function scrollUp(reading: Phone): Promise<void> {
  await eventually('the list shows the way to the end', async () => {
    await reading.list.evaluate((list) => {
      list.scrollTop = list.scrollHeight - list.clientHeight - 600;
    });
    return reading.screen.locator('.below').isVisible();
  });
}

/** Waits until no older chats are being loaded, so that the top can be reached again. */
async function rested(reading: Phone): Promise<void> {
  await reading.screen.locator('.top', { hasText: '加载中' }).waitFor({ state: 'detached' });
}

test('history loads page by page, and the chats on the screen stay in place', async () => {
  const { reading } = await reader(130, '周一');
  await atEnd(reading);
  assert.equal(await reading.bubbles.count(), 50);
  const expected = (from: number) => Array.from({ length: 131 - from }, (_, at) => `第${at + from}条`);

  for (const first of [31, 1]) {
    const top = (await reading.texts())[0] ?? '';
    await scrollToTop(reading);
    await eventually(`第${first}条 is loaded`, async () => (await reading.texts())[0] === `第${first}条`);
    await rested(reading);
    // The chat that was at the top is still on the screen.
    const bubble = reading.bubbles.filter({ hasText: new RegExp(`^\\D*${top}$`) }).last();
    await eventually(`${top} is on the screen`, async () => {
      const [box, list] = [await bubble.boundingBox(), await reading.list.boundingBox()];
      return box !== null && list !== null && box.y >= list.y - 5 && box.y < list.y + list.height;
    });
  }
  assert.deepEqual(await reading.texts(), expected(1));
  await reading.screen.locator('.top', { hasText: '没有更多了' }).waitFor({ state: 'attached' });
  reading.assertQuiet();
});

/** Has the service's answer with chats wait, until that is called. */
async function holdChats(reading: Phone, route: RegExp): Promise<() => void> {
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  await reading.page.route(route, async (request) => {
    await held;
    await request.continue();
  });
  return release;
}

for (const [where, pixels] of Object.entries({ 'at the very top': 0, 'on the way to the top': 100 })) {
  test(`older chats do not move those that are on the screen, ${where}`, async () => {
    const { reading } = await reader(80, `孙${pixels}`);
    await atEnd(reading);
    const release = await holdChats(reading, /\/chats\?.*before=/);
    await reading.list.evaluate((list, top) => {
      list.scrollTop = top;
    }, pixels);
    await reading.screen.locator('.top', { hasText: '加载中' }).waitFor();
    const bubble = reading.bubbles.filter({ hasText: '第33条' });
    const top = async () => (await bubble.boundingBox())?.y ?? 0;
    const before = await top();
    release();
    await eventually('the older chats are there', async () => (await reading.texts())[0] === '第1条');
    let after = 0;
    await eventually('the list has come to rest', async () => {
      const last = after;
      after = await top();
      return after === last;
    });
    assert.ok(Math.abs(after - before) < 2, `it was at ${before}, and is at ${after}`);
    reading.assertQuiet();
  });
}

test('who scrolls up at once stays there when older chats come', async () => {
  const { reading } = await reader(80, '钱七');
  await atEnd(reading);
  await reading.page.evaluate(() => {
    interface Chat {
      selectComponent: (selector: string) => { toEnd: () => void };
    }
    const app = window as unknown as { getCurrentPages: () => Chat[] };
    // The list has just gone to its end, such as for a new chat: it may be on its way for a moment.
    app.getCurrentPages().at(-1)?.selectComponent('#chat').toEnd();
    const list = document.querySelector('.mp-screen:not([hidden]) #list');
    if (list) list.scrollTop = 0;
  });
  await eventually('the older chats are there', async () => (await reading.texts())[0] === '第1条');
  await reading.screen.locator('.below', { hasText: '回到最新' }).waitFor();
  assert.ok((await reading.distanceToEnd()) > 1000);
  reading.assertQuiet();
});

test('the list follows the newest chat, unless the user has scrolled up', async () => {
  const { writer, li, reading } = await reader(60, '吴二');
  await atEnd(reading);
  await writer.send(li.id, '跟着走');
  await reading.sees('跟着走');
  await atEnd(reading);

  await scrollUp(reading);
  const pill = reading.screen.locator('.below');
  await pill.filter({ hasText: '回到最新' }).waitFor();
  const before = await reading.list.evaluate((list) => list.scrollTop);
  await writer.send(li.id, '没看到的一');
  await writer.send(li.id, '没看到的二');
  await pill.filter({ hasText: '2 条新消息' }).waitFor();
  assert.equal(await reading.list.evaluate((list) => list.scrollTop), before, 'it did not move');

  await pill.click();
  await atEnd(reading);
  await pill.waitFor({ state: 'detached' });

  // One's own chat is always shown.
  await scrollUp(reading);
  await reading.send('我自己的');
  await reading.sees('我自己的');
  await atEnd(reading);

  // A keyboard makes the window lower.
  await reading.page.setViewportSize({ width: 375, height: 480 });
  await atEnd(reading);
  await reading.page.setViewportSize({ width: 375, height: 812 });
  await atEnd(reading);

  // The panel of emoji takes room from the list, which stays at its end.
  await reading.screen.locator('composer [class$=--smile]').click();
  await reading.screen.locator('emoji-panel').waitFor();
  await atEnd(reading);
  reading.assertQuiet();
});

test('a conversation is at its end when a new chat is there before the older ones', async () => {
  const [writer, li] = [await server.person('冯四'), await server.person('冯四的朋友')];
  for (let at = 1; at <= 20; at++) await writer.send(li.id, `第${at}条`);
  const reading = await phone();
  await reading.signIn('冯四的朋友');
  const release = await holdChats(reading, /\/chats\?limit=50$/);
  await reading.openChat('冯四');
  await writer.send(li.id, '刚发的');
  await reading.sees('刚发的');
  assert.deepEqual(await reading.texts(), ['刚发的']);
  release();
  await eventually('the older chats are there', async () => (await reading.texts())[0] === '第1条');
  await atEnd(reading);
  await writer.send(li.id, '又一条');
  await reading.sees('又一条');
  await atEnd(reading);
  reading.assertQuiet();
});

test('the end that comes onto a page that is just being left is seen', async () => {
  const { writer, li, reading } = await reader(3, '陈五');
  await reading.page.evaluate(async () => {
    interface Chat {
      data: { end: { settledAt: number } };
      see: (isSeen: boolean) => void;
    }
    const app = window as unknown as { getCurrentPages: () => { selectComponent: (selector: string) => Chat }[] };
    const chat = app.getCurrentPages().at(-1)?.selectComponent('#chat');
    if (!chat) throw new Error('there is no chat');
    chat.data.end.settledAt = 0;
    chat.see(false);
    for (const hidden of [true, false]) {
      Object.defineProperty(document, 'hidden', { configurable: true, value: hidden });
      document.dispatchEvent(new Event('visibilitychange'));
      if (hidden) chat.see(true);
      // What `see(false)` does later is done by then.
      await new Promise((resolve) => setTimeout(resolve));
    }
  });
  await writer.send(li.id, '还在看');
  await reading.sees('还在看');
  await eventually('it is marked as read', async () => (await reading.page.title()) === '陈五');
  reading.assertQuiet();
});

test('chats below the screen are not marked as read until they are on it', async () => {
  const { reading } = await reader(60, '郑三');
  await atEnd(reading);
  const writing = await phone();
  await writing.signIn('郑三');
  await writing.openChat('郑三的朋友');
  await scrollUp(reading);
  await writing.send('看到了吗');
  await reading.screen.locator('.below', { hasText: '1 条新消息' }).waitFor();
  await writing.noted('看到了吗', '未读');
  await reading.screen.locator('.below').click();
  await writing.noted('看到了吗', '已读');
  reading.assertQuiet();
  writing.assertQuiet();
});
