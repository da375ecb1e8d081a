// The console in a browser, at a real server, and the API beside it to see what was done.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { createServer, type Server as Receiver } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, afterEach } from 'node:test';

import type { Browser, BrowserContext, Locator, Page } from 'playwright-core';

import { BINARY, Server, type Person } from '../e2e/server';
import { DEADLINE, DESKTOP, eventually, launch, SHOTS } from '../e2e/phone';

const SECRET = 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';

/** The words that a chat is held back for. */
export const HELD = '加微信';

type Json = Record<string, unknown>;

/** The server API, with a key. */
export class BackEnd {
  constructor(
    private readonly url: string,
    readonly key: string,
  ) {}

  async send(method: string, path: string, body?: object): Promise<{ status: number; json: Json }> {
    const answer = await fetch(`${this.url}/v1/admin${path}`, {
      method,
      headers: { authorization: `Bearer ${this.key}` },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { status: answer.status, json: text === '' ? {} : (JSON.parse(text) as Json) };
  }

  async list(path: string, name: string): Promise<Json[]> {
    return (await this.send('GET', path)).json[name] as Json[];
  }

  /** Whether the audit log has an entry whose fields are these. */
  async audited(wanted: Json): Promise<boolean> {
    const entries = await this.list('/audit?limit=100', 'entries');
    return entries.some((entry) => Object.entries(wanted).every(([name, value]) => entry[name] === value));
  }
}

/** An endpoint of webhooks and the hook before a send, in one: it fails to take the first, and holds some chats. */
async function receiver(): Promise<Receiver> {
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (part: Buffer) => (body += part.toString()));
    request.on('end', () => {
      if (request.url !== '/hook') {
        response.writeHead(500).end();
        return;
      }
      const action = body.includes(HELD) ? 'hold' : 'allow';
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ action }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

export interface Office {
  readonly server: Server;
  readonly backEnd: BackEnd;
  /** Makes a key with these scopes. */
  readonly key: (...scopes: string[]) => Promise<string>;
  /** Opens the console, and closes it after the test. */
  readonly desk: (look?: Look) => Promise<Desk>;
  /** A user whom the server logs in. */
  readonly person: (name: string) => Promise<Person>;
}

export interface Look {
  viewport?: { width: number; height: number };
  locale?: string;
  dark?: boolean;
}

/** A server with a console, a hook that holds some chats, and an endpoint that fails. */
export async function office(): Promise<Office> {
  const outside = await receiver();
  const url = `http://127.0.0.1:${(outside.address() as AddressInfo).port}`;
  const [server, browser] = await Promise.all([
    Server.start(
      'console.enabled=true',
      'limits.enabled=false',
      `hooks.before_send.url=${url}/hook`,
      `hooks.before_send.secret=${SECRET}`,
      `webhooks.endpoints=[{"name":"crm","url":"${url}/events","secret":"${SECRET}"}]`,
      'webhooks.allow_private=true',
    ),
    launch(),
  ]);
  const open: Desk[] = [];
  afterEach(() => Promise.all(open.splice(0).map((desk) => desk.close())));
  after(async () => {
    await browser.close();
    await server.end();
    outside.closeAllConnections();
    outside.close();
  });
  const made = execFileSync(
    BINARY,
    ['--database-url', 'sqlite://im.db', 'admin', 'api-key', 'create', '--name', 'ops', '--scopes', 'all'],
    { cwd: server.home, encoding: 'utf8' },
  );
  const backEnd = new BackEnd(server.url, made.split('\n')[0]!);
  return {
    server,
    backEnd,
    async key(...scopes) {
      const { json } = await backEnd.send('POST', '/keys', { name: scopes.join(' '), scopes });
      return json.secret as string;
    },
    async desk(look) {
      const desk = await Desk.open(browser, `${server.url}/console`, look);
      open.push(desk);
      return desk;
    },
    person: (name) => server.person(name),
  };
}

/** One browser with the console. */
export class Desk {
  /** Errors and warnings of the browser; violations of the policy are among them. */
  readonly complaints: string[] = [];

  private constructor(
    private readonly context: BrowserContext,
    readonly page: Page,
  ) {
    page.setDefaultTimeout(DEADLINE);
    page.on('pageerror', (error) => this.complaints.push(String(error)));
    page.on('console', (message) => {
      // An answer that refuses is told to whoever asked.
      if (message.text().startsWith('Failed to load resource')) return;
      if (message.type() === 'error' || message.type() === 'warning') this.complaints.push(message.text());
    });
  }

  static async open(browser: Browser, url: string, look: Look = {}): Promise<Desk> {
    const context = await browser.newContext({
      viewport: look.viewport ?? DESKTOP,
      locale: look.locale ?? 'zh-CN',
      timezoneId: 'Asia/Shanghai',
      colorScheme: look.dark ? 'dark' : 'light',
      acceptDownloads: true,
      permissions: ['clipboard-read', 'clipboard-write'],
    });
    const desk = new Desk(context, await context.newPage());
    await desk.page.goto(url);
    return desk;
  }

  async close(): Promise<void> {
    await this.context.close();
  }

  async signIn(key: string): Promise<void> {
    await this.page.locator('input.key').fill(key);
    await this.page.locator('.sign-in .main').click();
    await this.page.locator('nav').waitFor();
  }

  async tab(name: string): Promise<void> {
    await this.page.locator('nav button', { hasText: new RegExp(`^${name}$`) }).click();
  }

  button(name: string): Locator {
    return this.page.locator('main').getByRole('button', { name, exact: true });
  }

  /** The line about something with this text. */
  row(text: string): Locator {
    return this.page.locator('tbody tr', { hasText: text });
  }

  get dialog(): Locator {
    return this.page.locator('dialog');
  }

  /** Answers the question that is asked with yes. */
  async confirm(): Promise<void> {
    await this.dialog.locator('button[type=submit]').click();
    await this.dialog.waitFor({ state: 'detached' });
  }

  async says(text: string): Promise<void> {
    await this.page.locator('.said-once', { hasText: text }).waitFor();
  }

  async shoot(name: string): Promise<void> {
    fs.mkdirSync(SHOTS, { recursive: true });
    await this.page.screenshot({ path: `${SHOTS}${name}.png`, animations: 'disabled', fullPage: true });
  }

  /** Nothing extends beyond the sides of the screen. */
  async assertFits(what: string): Promise<void> {
    const wide = await this.page.evaluate(() => {
      const { clientWidth, scrollWidth } = document.documentElement;
      const outside = Array.from(document.querySelectorAll('#console *, dialog *'))
        // What is for the ears alone.
        .filter((element) => element.closest('thead') === null)
        .filter((element) => element.getBoundingClientRect().right > clientWidth + 0.5)
        .map((element) => `${element.tagName}.${element.className}`);
      return scrollWidth > clientWidth ? ['the page', ...outside] : outside;
    });
    assert.deepEqual(wide, [], what);
  }

  assertQuiet(): void {
    assert.deepEqual(this.complaints, []);
  }
}

export { eventually };
