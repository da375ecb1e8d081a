// Of a long conversation only the rows near the screen are drawn.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { LI, ME } from '../pages/phone';
import { dataOf, LongChat, stepThrough, type Long } from './long';
import { eventually, type Phone } from './phone';
import { world } from './world';

const { phone } = await world();

/** Three windows. */
const COUNT = 600;
const MOST_ROWS = 200;
const MOST_BYTES = 64 * 1024;
/** Milliseconds to draw one more bubble: 5 on an idle machine, and many more if all were drawn again. */
const MOST_MS = 60;
/** Of the whole document, with the list of conversations below the chat. */
const MOST_NODES = 3000;

async function open(long: Long): Promise<{ reading: Phone; service: LongChat }> {
  const reading = await phone();
  const service = new LongChat(long);
  await service.serve(reading);
  await reading.openChat('李四');
  await reading.sees(`第${long.count}条`);
  return { reading, service };
}

function range(from: number, to: number): number[] {
  const step = from < to ? 1 : -1;
  return Array.from({ length: Math.abs(to - from) + 1 }, (_, at) => from + at * step);
}

/** Milliseconds to draw one more bubble; the fastest of many, for the rest is time that other programs took. */
function timeToDraw(reading: Phone): Promise<number> {
  return reading.page.evaluate(() => {
    type Row = Record<string, unknown>;
    interface Chat {
      data: { pages: Row[][]; order: { slot: number }[] };
      setData: (data: Row) => void;
    }
    const app = window as unknown as { getCurrentPages: () => { selectComponent: (selector: string) => Chat }[] };
    const chat = app.getCurrentPages().at(-1)?.selectComponent('#chat');
    const slot = chat?.data.order.at(-1)?.slot;
    if (!chat || slot === undefined) return Infinity;
    const times = Array.from({ length: 60 }, () => {
      const rows = chat.data.pages[slot] ?? [];
      const begun = performance.now();
      chat.setData({ [`pages[${slot}][${rows.length}]`]: { ...rows.at(-1), key: `k${rows.length}`, time: '' } });
      return performance.now() - begun;
    });
    return Math.min(...times);
  });
}

test('six hundred chats pass the screen in order, in a window of two hundred rows', async () => {
  const { reading } = await open({ count: COUNT });
  for (const to of ['first', 'last'] as const) {
    const { seen, disorder, mostRows, mostNodes, jumps, blank } = await stepThrough(reading, to, COUNT);
    console.log(`# ${mostRows} rows, ${mostNodes} nodes, ${blank} blank, jumps ${JSON.stringify(jumps)}`);
    const missed = range(1, COUNT).filter((at) => !seen.includes(at));
    assert.equal(missed.join(' '), '', 'each chat was on the screen');
    assert.equal(disorder, 0);
    assert.ok(mostRows <= MOST_ROWS, `${mostRows} rows`);
    assert.ok(mostNodes <= MOST_NODES, `${mostNodes} nodes`);
    assert.deepEqual(jumps, []);
    assert.equal(blank, 0);
  }
  const { largest, largestOf } = await dataOf(reading);
  console.log(`# the largest setData has ${largest} bytes, of ${largestOf}`);
  assert.ok(largest <= MOST_BYTES, `${largest} bytes`);
  const fastest = await timeToDraw(reading);
  console.log(`# one more bubble takes ${fastest.toFixed(1)} ms`);
  assert.ok(fastest < MOST_MS, `${fastest} ms`);
  reading.assertQuiet();
});

/** Where a chat is below the top of the list, in pixels; null if it is not drawn. */
function placeOf(reading: Phone, id: number): Promise<number | null> {
  return reading.list.evaluate((list, words) => {
    const row = [...list.querySelectorAll('[class$="--text"]')].find(({ textContent }) => textContent.startsWith(words));
    return row ? row.getBoundingClientRect().top - list.getBoundingClientRect().top : null;
  }, `第${id}条`);
}

/** The number of the first chat that is drawn. */
async function firstDrawn(reading: Phone): Promise<number> {
  const texts = await reading.texts();
  return Number(/\d+/.exec(texts.find((text) => text.startsWith('第')) ?? '')?.[0]);
}

for (const [place, top] of [['at the top of the list', 0], ['below it', 300]] as const) {
  for (const anchors of [true, false]) {
    const phoneKind = anchors ? 'that anchors lists' : 'that does not anchor lists';
    test(`on a slow phone ${phoneKind}, the chat ${place} stays there while older ones come`, async () => {
      const { reading, service } = await open({ count: 400, wait: 700 });
      if (!anchors) await reading.list.evaluate((list) => ((list as HTMLElement).style.overflowAnchor = 'none'));
      const cdp = await reading.page.context().newCDPSession(reading.page);
      await cdp.send('Emulation.setCPUThrottlingRate', { rate: 4 });
      for (let page = 1; page <= 2; page++) {
        const first = await firstDrawn(reading);
        const mark = first + 4;
        await reading.list.evaluate((list, to) => (list.scrollTop = to), top);
        const before = await placeOf(reading, mark);
        assert.ok(before !== null);
        await eventually(`page ${page} is drawn`, async () => service.asked >= page && (await firstDrawn(reading)) < first);
        await reading.screen.locator('.top', { hasText: '加载中' }).waitFor({ state: 'detached' });
        await eventually('the chat is where it was', async () => Math.abs(((await placeOf(reading, mark)) ?? 1e6) - before) <= 2);
      }
      reading.assertQuiet();
    });
  }
}

test('a chat of 2,000 characters, fifty a page, is drawn by calls of at most 64 KB', async () => {
  const filling = '好'.repeat(1990);
  const { reading, service } = await open({ count: 170, like: (id) => ({ content: `第${id}条${filling}`, userId: ME.id, userName: ME.name, targetUserId: LI.id }) });
  for (const first of [71, 21, 1]) {
    await eventually(`第${first}条 is loaded`, async () => {
      await reading.list.evaluate((list) => (list.scrollTop = list.scrollTop === 0 ? 60 : 0));
      return (await firstDrawn(reading)) <= first;
    });
  }
  service.frame({ type: 'read', conversationId: 3, userId: LI.id, upTo: 170 });
  await reading.screen.locator('.note', { hasText: '已读' }).first().waitFor();
  assert.equal(await reading.screen.locator('.note', { hasText: '未读' }).count(), 0);
  const { largest, largestOf } = await dataOf(reading);
  console.log(`# the largest setData has ${largest} bytes, of ${largestOf}`);
  assert.ok(largest <= MOST_BYTES, `${largest} bytes`);
});

test('one gets from anywhere to the newest chat, to the first unread one, and to one that is quoted', async () => {
  const quote = { id: 20, userId: LI.id, userName: LI.name, kind: 'text', content: '第20条', state: null };
  const { reading, service } = await open({ count: 300, unread: 99, like: (id) => (id === 298 ? { replyTo: quote } : {}) });
  const pill = reading.screen.locator('.below');

  await reading.screen.locator('.quoted').click();
  await eventually('the quoted chat is on the screen', async () => {
    const place = await placeOf(reading, 20);
    return place !== null && place >= 0 && place < 500;
  });
  assert.equal(await placeOf(reading, 300), null, 'the newest ones are not drawn');

  // New chats wait until one asks for them.
  service.write('没看到的一');
  await pill.filter({ hasText: '1 条新消息' }).waitFor();
  service.event({ event: 'chat', chat: { ...service.of(299), content: '', state: 'recalled', version: 2 } });
  await pill.click();
  await reading.sees('没看到的一');
  await eventually('the list is at its end', async () => (await reading.distanceToEnd()) < 2);
  await pill.waitFor({ state: 'detached' });
  assert.equal(await placeOf(reading, 20), null);
  service.write('接着来');
  await reading.sees('接着来');
  await eventually('the list is at its end', async () => (await reading.distanceToEnd()) < 2);

  await reading.screen.locator('.above').click();
  await reading.screen.locator('.new', { hasText: '以下为新消息' }).waitFor();
  reading.assertQuiet();
});

/** How many chats are on the screen, at least in part. */
function onScreen(reading: Phone): Promise<number> {
  return reading.list.evaluate((list) => {
    const { top, bottom } = list.getBoundingClientRect();
    const boxes = [...list.querySelectorAll('[class$="--bubble"]')].map((bubble) => bubble.getBoundingClientRect());
    return boxes.filter((box) => box.bottom > top && box.top < bottom).length;
  });
}

test('who jumps to a chat that is loaded already can read on below it', async () => {
  const quote = { id: 120, userId: LI.id, userName: LI.name, kind: 'text', content: '第120条', state: null };
  const { reading } = await open({ count: 300, like: (id) => (id === 298 ? { replyTo: quote } : {}) });
  const jump = async () => {
    await reading.screen.locator('.quoted').click();
    await eventually('the quoted chat is on the screen', async () => {
      const place = await placeOf(reading, 120);
      return place !== null && place >= 0 && place < 500;
    });
  };
  await jump();
  await reading.screen.locator('.below').click();
  await eventually('the list is at its end', async () => (await reading.distanceToEnd()) < 2);
  await jump();
  for (let step = 1; step <= 12; step++) {
    await reading.list.evaluate((list) => (list.scrollTop += 300));
    await eventually(`chats are on the screen after ${step} steps`, async () => (await onScreen(reading)) > 0);
  }
  reading.assertQuiet();
});

test('new chats come below a window that is full', async () => {
  const { reading, service } = await open({ count: 300 });
  await eventually('the window is full', async () => {
    await reading.list.evaluate((list) => (list.scrollTop = list.scrollTop === 0 ? 60 : 0));
    return (await firstDrawn(reading)) === 101;
  });
  await eventually('the newest chat is just below the screen', async () => {
    const isThere = Math.abs((await reading.distanceToEnd()) - 400) < 100;
    await reading.list.evaluate((list) => (list.scrollTop = list.scrollHeight - list.clientHeight - 400));
    return isThere && (await placeOf(reading, 300)) !== null;
  });
  assert.equal(await reading.bubbles.count(), MOST_ROWS);
  for (let count = 1; count <= 5; count++) service.write(`新的${count}。`);
  await reading.screen.locator('.below', { hasText: '5 条新消息' }).waitFor();
  await eventually('the last one is on the screen', async () => {
    await reading.list.evaluate((list) => (list.scrollTop = list.scrollHeight));
    return (await reading.texts()).includes('新的5。');
  });
  reading.assertQuiet();
});

test('chats that are chosen stay so when they are scrolled away', async () => {
  const { reading } = await open({ count: 600 });
  await reading.bubble('第600条').locator('.bubble').click({ delay: 500, position: { x: 12, y: 12 } });
  await reading.screen.locator('.choice', { hasText: '多选' }).click();
  const count = reading.screen.locator('.pick-count');
  await count.filter({ hasText: '1' }).waitFor();
  for (let turn = 0; (await placeOf(reading, 600)) !== null; turn++) {
    assert.ok(turn < 500);
    await reading.list.evaluate((list, at) => (list.scrollTop = at % 2), turn);
    await reading.page.waitForTimeout(50);
  }
  await reading.screen.locator('.cover').nth(3).click();
  await count.filter({ hasText: '2' }).waitFor();
  await reading.screen.locator('.below').click();
  await reading.screen.locator('.checked').waitFor();
  await count.filter({ hasText: '2' }).waitFor();
});

test('a page that is not on the screen draws nothing, and is up to date when it comes back', async () => {
  const { reading, service } = await open({ count: 60 });
  await reading.screen.locator('.info').click();
  await reading.page.locator('wx-page[is="pages/info/info"]').waitFor();
  service.write('你不在的时候');
  service.frame({ type: 'typing', userId: LI.id });
  service.frame({ type: 'presence', userId: LI.id, online: true, lastSeenAt: null });
  service.frame({ type: 'read', conversationId: 3, userId: LI.id, upTo: 60 });
  // The info page hears of the settings after all of that.
  service.settings = { muted: true };
  service.event({ event: 'conversation', conversation: service.row() });
  await reading.screen.locator('wx-switch[aria-checked="true"]').first().waitFor();
  assert.deepEqual((await dataOf(reading)).hidden, []);
  await reading.back();
  await reading.sees('你不在的时候');
  reading.assertQuiet();
});
