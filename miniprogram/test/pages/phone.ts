// The mini program as built for browsers, in jsdom, with a fake service.

import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { JSDOM } from 'jsdom';

import { inAnyPart } from '../selectors';

const dist = (name: string) => fs.readFileSync(fileURLToPath(new URL(`../../web/dist/${name}`, import.meta.url)), 'utf8');
const boot = dist('boot.js');

/** Timeout in milliseconds. */
const DEADLINE = 60_000;

type Json = Record<string, unknown>;

/** The page's end of a socket, and the test's end as the service. */
class FakeSocket extends EventTarget {
  static readonly OPEN = 1;
  readyState = 0;
  readonly sent: Json[] = [];

  constructor(
    readonly url: string,
    readonly protocols: string[],
  ) {
    super();
  }

  open(): void {
    this.readyState = 1;
    this.dispatchEvent(new Event('open'));
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text) as Json);
  }

  receive(frame: Json): void {
    this.dispatchEvent(Object.assign(new Event('message'), { data: JSON.stringify(frame) }));
  }

  close(code = 1000, reason = ''): void {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.dispatchEvent(Object.assign(new Event('close'), { code, reason }));
  }
}

/** Answers of the service by route, such as `GET /v1/me`, or promises of them. Others are 404. */
export type Routes = Record<string, (body: unknown, query: URLSearchParams) => unknown>;

export const ME = { id: 1000000, name: '张三', avatarUrl: null };
export const LI = { id: 1000001, name: '李四', avatarUrl: null };

/** A moment, in minutes after noon. */
export function at(minutes: number): string {
  return new Date(Date.UTC(2026, 10, 20, 4, 0) + minutes * 60_000).toISOString();
}

/** A chat of the conversation with 李四. */
export function chat(id: number, from: typeof ME, content: string, minutes = id): Json {
  const to = from === ME ? LI : ME;
  return {
    id,
    userId: from.id,
    targetUserId: to.id,
    userName: from.name,
    targetUserName: to.name,
    content,
    createTime: at(minutes),
    clientMsgId: `other-${id}`,
    conversationId: 3,
    kind: 'text',
  };
}

export function conversation(lastChat: Json, more: Json = {}): Json {
  const peer = { ...LI, online: false, lastSeenAt: null };
  return { id: 3, kind: 'direct', peer, lastChat, unread: 0, readUpTo: 0, peerReadUpTo: 0, ...more };
}

/** A service where 张三 can log in, and has nobody to talk to. */
export const EMPTY: Routes = {
  'GET /v1/service': () => ({ demoLogin: true, wechatLogin: false, directory: true }),
  'POST /v1/login/demo': () => ({ token: 'T', expiresAt: at(0), user: ME }),
  'POST /v1/logout': () => ({}),
  'GET /v1/me': () => ME,
  'GET /v1/conversations': () => ({ conversations: [], hasMore: false }),
  [`GET /v1/users/${LI.id}`]: () => LI,
};

/** Has the scripts that the page asks for run, as a browser would. */
function serve(window: JSDOM['window']): void {
  const { prototype } = window.HTMLHeadElement;
  const append: unknown = Reflect.get(prototype, 'append');
  prototype.append = function (...added) {
    Reflect.apply(append as () => void, this, added);
    for (const element of added) {
      if (typeof element === 'string') continue;
      const { src } = element as HTMLScriptElement;
      if (src) window.eval(dist(path.basename(new URL(src).pathname)));
      (element as Element).dispatchEvent(new window.Event('load'));
    }
  };
}

export class Phone {
  readonly sockets: FakeSocket[] = [];
  /** The HTTP requests: method, path, body. */
  readonly asked: { route: string; body: unknown }[] = [];
  private readonly dom: JSDOM;

  /** Opens the page in the URL's hash. */
  constructor(
    readonly routes: Routes,
    hash = '',
    language = 'zh-CN',
  ) {
    this.dom = new JSDOM('<!doctype html><main id="mp"></main>', {
      url: `http://chat.test/${hash}`,
      runScripts: 'outside-only',
      pretendToBeVisual: true,
    });
    const { window } = this.dom;
    const open = (url: string, protocols: string[]) => {
      const socket = new FakeSocket(url, protocols);
      this.sockets.push(socket);
      return socket;
    };
    Object.assign(window, {
      WebSocket: Object.assign(open, { OPEN: 1 }),
      fetch: (url: string, init: RequestInit) => this.answer(url, init),
      AbortSignal,
      IntersectionObserver: class {
        observe(): void {
          // The end of the list is always on the screen.
        }
        disconnect(): void {
          // Nothing to stop.
        }
      },
      matchMedia: () => new EventTarget(),
    });
    window.Element.prototype.scrollTo = () => undefined;
    Object.defineProperty(window.navigator, 'language', { value: language });
    serve(window);
    // A constructor that returns an object is what `new` gives.
    window.eval('WebSocket = ((open) => { const made = function (...all) { return open(...all) }; made.OPEN = 1; return made })(WebSocket)');
    window.eval(boot);
  }

  close(): void {
    this.dom.window.close();
  }

  /** Gives the platform abilities that a browser does not have. */
  enable(abilities: Record<string, (...all: never[]) => unknown>): void {
    const { window } = this.dom;
    const { wx } = window as unknown as { wx?: object };
    if (wx) {
      Object.assign(wx, abilities);
      return;
    }
    // The app has not begun: it finds them.
    Object.defineProperty(window, 'wx', {
      configurable: true,
      set: (made: object) => {
        Object.defineProperty(window, 'wx', { value: Object.assign(made, abilities), writable: true });
      },
    });
  }

  get document(): Document {
    return this.dom.window.document;
  }

  private async answer(url: string, init: RequestInit): Promise<object> {
    const { pathname, searchParams } = new URL(url);
    const route = `${init.method ?? 'GET'} ${pathname}`;
    const body: unknown = typeof init.body === 'string' ? JSON.parse(init.body) : init.body;
    this.asked.push({ route, body });
    const handler = this.routes[route];
    const result = await (handler ? handler(body, searchParams) : { status: 404, code: 'not_found' });
    const status = (result as { status?: number }).status ?? 200;
    const headers = new Map([['content-type', 'application/json']]);
    return { status, headers, text: () => Promise.resolve(JSON.stringify(result)) };
  }

  /** Waits until an element on the screen has this text, and returns it. */
  async find(selector: string, text = ''): Promise<Element> {
    const found = () => this.all(selector).find((element) => element.textContent.includes(text));
    return this.until(`${selector} with ${text}`, found);
  }

  /** What is on the screen now, or in an element there. */
  all(selector: string, within: ParentNode = this.document): Element[] {
    return [...within.querySelectorAll(inAnyPart(selector))].filter((element) => !element.closest('[hidden]'));
  }

  async until<T>(what: string, holds: () => T | undefined | null | false): Promise<T> {
    const deadline = Date.now() + DEADLINE;
    for (;;) {
      const result = holds();
      if (result !== undefined && result !== null && result !== false) return result;
      if (Date.now() > deadline) throw new Error(`never: ${what}\n${this.document.body.innerHTML}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  tap(element: Element): void {
    const { MouseEvent } = this.dom.window;
    for (const type of ['pointerdown', 'pointerup', 'click']) {
      element.dispatchEvent(new MouseEvent(type, { bubbles: true, cancelable: true }));
    }
  }

  /** Keeps a finger on it until that is a long press. */
  async press(element: Element): Promise<void> {
    const { MouseEvent } = this.dom.window;
    element.dispatchEvent(new MouseEvent('pointerdown', { bubbles: true, cancelable: true }));
    await this.until('the menu', () => this.all('.mp-sheet, .choice').length > 0);
    element.dispatchEvent(new MouseEvent('pointerup', { bubbles: true, cancelable: true }));
  }

  /** Another tab of the browser comes before this one. */
  hide(): void {
    Object.defineProperty(this.document, 'hidden', { value: true });
    this.document.dispatchEvent(new this.dom.window.Event('visibilitychange'));
  }

  async type(selector: string, text: string): Promise<void> {
    const field = (await this.find(selector)) as HTMLInputElement;
    field.value = text;
    field.dispatchEvent(new this.dom.window.Event('input', { bubbles: true }));
  }

  /** Signs in with the form, and opens the socket. */
  async signIn(): Promise<FakeSocket> {
    await this.type('.field input', '张三');
    this.tap(await this.find('wx-button', '进入'));
    return this.connect(1);
  }

  /** Plays the service's side of the socket that the page opens as its `count`th. */
  async connect(count: number, lastSeq = 0): Promise<FakeSocket> {
    const socket = await this.until('a socket', () => this.sockets[count - 1]);
    socket.open();
    await this.until('hello', () => socket.sent.some(({ type }) => type === 'hello'));
    socket.receive({
      type: 'ready',
      userId: ME.id,
      connectionId: count,
      epoch: 'e',
      lastSeq,
      heartbeatMs: 25_000,
    });
    return socket;
  }

  /** The texts of the bubbles. */
  bubbles(): (string | null)[] {
    return this.all('.chat .text').map((element) => element.textContent);
  }
}
