// A service made up on the way to the phone, with one conversation of thousands of chats: to send them all takes minutes. And
// a finger that scrolls through it.

import type { Route, WebSocketRoute } from 'playwright-core';

import { chat, conversation, LI, ME } from '../pages/phone';
import type { Phone } from './phone';

/** What chats say after their number, if a test does not care. */
const WORDS = ['', '好的', '今天下午三点在公司楼下见，别迟到', '收到', '这个版本我看过了，有两处还要再改一改，改完发我'];

const PAGE = 50;

type Json = Record<string, unknown>;

export interface Long {
  readonly count: number;
  /** The chat of this number, as far as it differs from a short text; `id` is the number. */
  readonly like?: (id: number) => Json;
  /** Milliseconds until a page of older chats comes. */
  readonly wait?: number;
  readonly unread?: number;
}

/** 李四 and oneself have written this conversation; each chat begins with its number. */
export class LongChat {
  private socket: WebSocketRoute | undefined;
  private seq = 0;
  /** The newest one. */
  last: number;
  /** What the user has set. */
  settings: Json = {};
  /** Requests for older chats. */
  asked = 0;

  constructor(private readonly long: Long) {
    this.last = long.count;
  }

  /** Has the phone talk to this service instead of the one that it was opened from. */
  async serve(phone: Phone): Promise<void> {
    await phone.page.route('**/v1/**', (route) => this.answer(route));
    await phone.page.routeWebSocket(/./, (socket) => {
      this.socket = socket;
      socket.onMessage((text) => {
        this.hear(JSON.parse(String(text)) as Json);
      });
    });
    await phone.page.reload();
    await phone.signIn(ME.name);
  }

  of(id: number): Json {
    const from = id % 3 === 0 ? ME : LI;
    const words = `第${id}条${WORDS[id % WORDS.length] ?? ''}`;
    return { ...chat(id, from, words, id - this.long.count), ...this.long.like?.(id) };
  }

  /** As the list of conversations has it. */
  row(): Json {
    const { unread = 0 } = this.long;
    return conversation(this.of(this.last), { unread, readUpTo: this.last - unread, ...this.settings });
  }

  /** 李四 writes. */
  write(content: string): void {
    this.last += 1;
    this.event({ event: 'chat', chat: { ...chat(this.last, LI, content, this.last - this.long.count) } });
  }

  event(event: Json): void {
    this.seq += 1;
    this.socket?.send(JSON.stringify({ type: 'event', seq: this.seq, ...event }));
  }

  frame(frame: Json): void {
    this.socket?.send(JSON.stringify(frame));
  }

  private hear(frame: Json): void {
    if (frame.type === 'hello')
      this.frame({ type: 'ready', userId: ME.id, connectionId: 1, epoch: 'e', lastSeq: this.seq, heartbeatMs: 25_000 });
    if (frame.type === 'ping') this.frame({ type: 'pong' });
    if (frame.type !== 'send') return;
    this.last += 1;
    this.seq += 1;
    const { clientMsgId } = frame;
    const sent = { ...chat(this.last, ME, String(frame.content), this.last - this.long.count), clientMsgId };
    this.frame({ type: 'sent', clientMsgId, seq: this.seq, chat: sent });
  }

  private async answer(route: Route): Promise<void> {
    const url = new URL(route.request().url());
    if (url.pathname === '/v1/conversations/3/read') return route.fulfill({ status: 204 });
    const json = await this.json(url);
    await (json ? route.fulfill({ json }) : route.fulfill({ status: 404, json: { code: 'not_found' } }));
  }

  private async json({ pathname, searchParams }: URL): Promise<unknown> {
    switch (pathname) {
      case '/v1/service':
        return { demoLogin: true, wechatLogin: false, directory: true };
      case '/v1/login/demo':
        return { token: 'T', expiresAt: chat(1, ME, '').createTime, user: ME };
      case '/v1/me':
        return ME;
      case '/v1/conversations':
        return { conversations: [this.row()], hasMore: false, unreadTotal: 0 };
      case '/v1/blocks':
        return { blocks: [], hasMore: false };
      case `/v1/users/${LI.id}`:
        return LI;
      case '/v1/conversations/3/chats': {
        const before = Number(searchParams.get('before') ?? this.last + 1);
        if (before <= this.last) {
          this.asked += 1;
          await new Promise((resolve) => setTimeout(resolve, this.long.wait ?? 0));
        }
        const first = Math.max(1, before - PAGE);
        return { chats: Array.from({ length: before - first }, (_, at) => this.of(first + at)), hasMore: first > 1 };
      }
    }
    return undefined;
  }
}

/** What was seen while the list scrolled. */
export interface Scrolled {
  /** The numbers of the chats that were on the screen, each once, in the order in which they came. */
  readonly seen: number[];
  /** Frames in which the drawn rows were not in order, or had a gap. */
  readonly disorder: number;
  readonly mostRows: number;
  readonly mostNodes: number;
  /** Pixels by which chats moved against the finger, if more than one. */
  readonly jumps: number[];
  /** Frames without any chat on the screen. */
  readonly blank: number;
  /** Milliseconds between frames. */
  readonly frames: number[];
  /** Milliseconds of tasks above 50. */
  readonly longTasks: number[];
}

/** Scrolls up until this chat is on the screen, with a finger that has this speed in pixels a second. */
export async function scrollUpTo(phone: Phone, until: number, speed: number): Promise<Scrolled> {
  const { page } = phone;
  // What the compiler of the tests calls.
  await page.evaluate('window.__name = (named) => named');
  const watching = phone.list.evaluate(watch, until);
  const cdp = await page.context().newCDPSession(page);
  const box = await phone.list.boundingBox();
  if (!box) throw new Error('there is no list');
  const state: { done?: Scrolled } = {};
  void watching.then((done) => (state.done = done));
  while (!state.done) {
    await cdp.send('Input.synthesizeScrollGesture', {
      x: box.x + box.width / 2,
      y: box.y + box.height / 2,
      yDistance: 8000,
      speed,
      preventFling: true,
      gestureSourceType: 'mouse',
    });
  }
  await cdp.detach();
  return state.done;
}

/** In the page. */
async function watch(list: Element, until: number): Promise<Scrolled> {
  const seen = new Set<number>();
  const jumps: number[] = [];
  const frames: number[] = [];
  const longTasks: number[] = [];
  let [disorder, mostRows, mostNodes, blank] = [0, 0, 0, 0];
  new PerformanceObserver((found) => {
    for (const { duration } of found.getEntries()) longTasks.push(Math.round(duration));
  }).observe({ type: 'longtask' });
  let changes = 0;
  new MutationObserver(() => {
    changes += 1;
  }).observe(list, { childList: true, subtree: true });
  let last = performance.now();
  let mark: { readonly text: string; readonly top: number } | undefined;
  for (const begun = last; last - begun < 600_000 && !seen.has(until); ) {
    await new Promise((resolve) => requestAnimationFrame(resolve));
    const now = performance.now();
    frames.push(Math.round((now - last) * 10) / 10);
    last = now;
    // Positions within a frame after a change are from before the browser has moved what is anchored.
    const isMoving = changes > 0;
    changes = 0;
    const drawn = [...list.querySelectorAll('[class$="--text"]')].map((row) => {
      const { top, bottom } = row.getBoundingClientRect();
      return { text: row.textContent, number: Number(/^第(\d+)条/.exec(row.textContent)?.[1]), top, bottom };
    }).filter(({ number }) => number > 0);
    mostRows = Math.max(mostRows, drawn.length);
    if (drawn.some(({ number }, at) => at > 0 && number !== (drawn[at - 1]?.number ?? 0) + 1)) disorder += 1;
    if (frames.length % 20 === 0) mostNodes = Math.max(mostNodes, document.querySelectorAll('*').length);
    if (isMoving) continue;
    const box = list.getBoundingClientRect();
    const visible = drawn.filter(({ top, bottom }) => bottom > box.top && top < box.bottom);
    if (visible.length === 0) blank += 1;
    for (const { number } of visible) seen.add(number);
    const same = mark && drawn.find(({ text }) => text === mark?.text);
    if (mark && same && same.top - mark.top < -1) jumps.push(Math.round(same.top - mark.top));
    mark = visible[Math.floor(visible.length / 2)];
  }
  return { seen: [...seen], disorder, mostRows, mostNodes, jumps, blank, frames, longTasks };
}

/** Scrolls to the first chat, or to the last one, and waits after each step until nothing moves by itself any more. */
export async function stepThrough(phone: Phone, to: 'first' | 'last', last: number): Promise<Omit<Scrolled, 'frames' | 'longTasks'>> {
  await phone.page.evaluate('window.__name = (named) => named');
  return phone.list.evaluate(step, { until: to === 'first' ? 1 : last, pixels: to === 'first' ? -550 : 550 });
}

/** In the page. */
async function step(list: Element, { until, pixels }: { until: number; pixels: number }): Promise<Omit<Scrolled, 'frames' | 'longTasks'>> {
  const seen = new Set<number>();
  const jumps: number[] = [];
  let [disorder, mostRows, mostNodes, blank, still] = [0, 0, 0, 0, 0];
  new MutationObserver(() => {
    still = 0;
  }).observe(list, { childList: true, subtree: true });
  const settle = async () => {
    for (still = 0; still < 4; still++) await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 0)));
  };
  const look = () => {
    const drawn = [...list.querySelectorAll('[class$="--text"]')].flatMap((row) => {
      const number = Number(/^第(\d+)条/.exec(row.textContent)?.[1] ?? 0);
      const { top, bottom } = row.getBoundingClientRect();
      return number > 0 ? [{ number, top, bottom }] : [];
    });
    const box = list.getBoundingClientRect();
    const visible = drawn.filter(({ top, bottom }) => bottom > box.top && top < box.bottom);
    return { drawn, visible };
  };
  for (const begun = performance.now(); performance.now() - begun < 120_000; ) {
    await settle();
    const { drawn, visible } = look();
    mostRows = Math.max(mostRows, drawn.length);
    mostNodes = Math.max(mostNodes, document.querySelectorAll('*').length);
    if (drawn.some(({ number }, at) => at > 0 && number !== (drawn[at - 1]?.number ?? 0) + 1)) disorder += 1;
    if (visible.length === 0) blank += 1;
    for (const { number } of visible) seen.add(number);
    if (seen.has(until)) break;
    const mark = visible[Math.floor(visible.length / 2)];
    const from = list.scrollTop;
    list.scrollTop += pixels;
    const moved = from - list.scrollTop;
    await settle();
    const same = look().drawn.find(({ number }) => number === mark?.number);
    const jump = mark && same ? same.top - mark.top - moved : 0;
    if (Math.abs(jump) > 1) jumps.push(Math.round(jump * 10) / 10);
  }
  return { seen: [...seen], disorder, mostRows, mostNodes, jumps, blank };
}

/** The largest `setData` so far, in bytes, and how many there were. */
export function dataOf(phone: Phone): Promise<{ calls: number; largest: number; largestOf: string; hidden: string[] }> {
  return phone.page.evaluate(() => (window as unknown as { mpData: Awaited<ReturnType<typeof dataOf>> }).mpData);
}
