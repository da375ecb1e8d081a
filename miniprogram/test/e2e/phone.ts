// A person's phone in a browser, with methods for what the person does and sees.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { chromium, type Browser, type BrowserContext, type Locator, type Page } from 'playwright-core';

import { inAnyPart } from '../selectors';

/** Milliseconds that anything may take on a busy machine; a client alone may wait for 30 s between two attempts. */
export const DEADLINE = 90_000;

export const SHOTS = fileURLToPath(new URL('../../../test-output/screenshots/', import.meta.url));

/** A folder with the page, compiled by `npm run build`, that is tried instead of the program's own. */
const DIST = process.env.IMSERVER_PAGE;

export const PHONE = { width: 375, height: 812 };
export const DESKTOP = { width: 1280, height: 800 };

/** `more` are arguments of the browser. */
export function launch(...more: readonly string[]): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      // A page that a test hands over comes from nowhere, and Chromium would keep it from the service on this machine.
      ...(DIST ? ['--disable-features=LocalNetworkAccessChecks'] : []),
      ...more,
    ],
  });
}

export class Phone {
  /** Errors and warnings of the browser. */
  readonly complaints: string[] = [];

  private constructor(
    private readonly context: BrowserContext,
    readonly page: Page,
  ) {
    page.setDefaultTimeout(DEADLINE);
    lookIntoComponents(page);
    page.on('pageerror', (error) => this.complaints.push(String(error)));
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') this.complaints.push(message.text());
    });
  }

  static async open(
    browser: Browser,
    url: string,
    look: {
      viewport?: { width: number; height: number };
      dark?: boolean;
      locale?: string;
      touch?: boolean;
    } = {},
  ): Promise<Phone> {
    const context = await browser.newContext({
      viewport: look.viewport ?? PHONE,
      deviceScaleFactor: 2,
      locale: look.locale ?? 'zh-CN',
      timezoneId: 'Asia/Shanghai',
      colorScheme: look.dark ? 'dark' : 'light',
      hasTouch: look.touch ?? false,
      permissions: ['clipboard-read', 'clipboard-write', 'microphone'],
    });
    await context.addInitScript(keepToasts);
    if (DIST) {
      const isOfPage = ({ pathname }: URL) => pathname === '/' || pathname.startsWith('/page/');
      await context.route(isOfPage, (route) => {
        const { pathname } = new URL(route.request().url());
        return route.fulfill({ path: path.join(DIST, path.basename(pathname) || 'index.html') });
      });
    }
    const phone = new Phone(context, await context.newPage());
    await phone.page.goto(url);
    return phone;
  }

  /** Waits until a toast has shown this text, if only for a moment. */
  async toasted(text: string): Promise<void> {
    await eventually(`a toast says ${text}`, () =>
      this.page.evaluate((wanted) => (window as unknown as { toasts: string[] }).toasts.includes(wanted), text),
    );
  }

  async close(): Promise<void> {
    await this.context.close();
  }

  /** The page on the screen: pages below it are hidden. */
  get screen(): Locator {
    return this.page.locator('.mp-screen:not([hidden])');
  }

  async signIn(name: string): Promise<void> {
    await this.screen.locator('.field input').fill(name);
    await this.screen.locator('wx-button', { hasText: /^(进入|Enter)$/ }).click();
    await this.listed();
  }

  /** Waits for the list of conversations. */
  async listed(): Promise<void> {
    await this.page.locator('wx-page[is="pages/conversations/conversations"]').waitFor();
  }

  /** Finds a user by name, and opens the chat. */
  async find(name: string): Promise<void> {
    await this.screen.locator('.start').click();
    await this.screen.locator('.search input').fill(name);
    await this.screen.locator('.row', { hasText: name }).first().click();
    await this.inChatWith(name);
  }

  /** Makes a group with people, named by parts of their names, from the list. */
  async makeGroup(...names: string[]): Promise<void> {
    await this.screen.locator('.start').click();
    await this.screen.locator('.row', { hasText: '发起群聊' }).click();
    await this.pick(...names);
    await this.inChatWith(`群聊(${names.length + 1})`);
  }

  /** Chooses people by parts of their names, and ends the choice. */
  async pick(...names: string[]): Promise<void> {
    for (const name of names) {
      await this.screen.locator('im-people-picker input').fill(name);
      await this.screen.locator('im-people-picker .row', { hasText: name }).click();
    }
    await this.screen.locator('im-people-picker .done').click();
  }

  /** A user's line in the list. */
  row(name: string): Locator {
    return this.screen.locator('.row', { hasText: name });
  }

  async openChat(name: string): Promise<void> {
    await this.row(name).click();
    await this.inChatWith(name);
  }

  async inChatWith(name: string): Promise<void> {
    await this.page.locator('.mp-screen:not([hidden]) .mp-nav h1', { hasText: name }).waitFor();
    await this.field.waitFor();
  }

  async back(): Promise<void> {
    await this.screen.locator('.mp-back').click();
  }

  get field(): Locator {
    return this.screen.locator('textarea');
  }

  async send(text: string): Promise<void> {
    await this.field.fill(text);
    await this.screen.locator('composer [class$=--send]').click();
  }

  get bubbles(): Locator {
    return this.screen.locator('.chat');
  }

  /** The texts of the bubbles, the oldest first. */
  async texts(): Promise<string[]> {
    return this.screen.locator('.chat .text').allTextContents();
  }

  bubble(text: string): Locator {
    return this.bubbles.filter({ hasText: text });
  }

  async sees(text: string): Promise<void> {
    await this.bubble(text).last().waitFor();
  }

  /** Waits until this note, such as `已读`, is under one's own chat. */
  async noted(text: string, note: string): Promise<void> {
    await this.bubble(text).last().locator('.note', { hasText: note }).waitFor();
  }

  /** Keeps the mouse down on an element until what a long press opens is there. */
  async hold(target: Locator, opened: Locator): Promise<void> {
    await target.hover({ position: { x: 12, y: 12 } });
    await this.page.mouse.down();
    await opened.waitFor();
    await this.page.mouse.up();
  }

  get list(): Locator {
    return this.screen.locator('#list');
  }

  /** Pixels from the bottom of the screen to the end of the list. */
  async distanceToEnd(): Promise<number> {
    return this.list.evaluate((element) => element.scrollHeight - element.clientHeight - element.scrollTop);
  }

  async shoot(name: string): Promise<void> {
    fs.mkdirSync(SHOTS, { recursive: true });
    // Waits for the end of animations.
    await this.page.screenshot({ path: `${SHOTS}${name}.png`, animations: 'disabled' });
  }

  /** Keeps what is on the screen of a test that failed: a picture, the page, and what the browser complained of. */
  async keep(name: string): Promise<void> {
    const file = name.replace(/[^\p{L}\p{N}]+/gu, '-');
    try {
      await this.shoot(file);
      const texts = [...this.complaints, await this.page.locator('body').innerHTML()];
      fs.writeFileSync(`${SHOTS}${file}.txt`, texts.join('\n'));
    } catch {
      // The test's own error says more than a page that does not answer.
    }
  }

  assertQuiet(): void {
    assert.deepEqual(this.complaints, []);
  }
}

/** Has `locator` of what is on a page find the classes of components. */
function lookIntoComponents(page: Page): void {
  type Finder = Pick<Locator, 'locator'> & { looks?: true };
  for (const each of [page.locator('*'), page.frameLocator('*')]) {
    const finder = Object.getPrototypeOf(each) as Finder;
    if (finder.looks) continue;
    const locator = finder.locator as (this: Finder, what: unknown, options?: object) => Locator;
    finder.locator = function (what, options) {
      return locator.call(this, typeof what === 'string' ? inAnyPart(what) : what, options);
    };
    finder.looks = true;
  }
}

/** Runs in the page: records the texts of all toasts, which disappear after a moment. */
function keepToasts(): void {
  const toasts: string[] = [];
  Object.assign(window, { toasts });
  new MutationObserver((records) => {
    for (const { addedNodes } of records) {
      for (const node of addedNodes) {
        if (node instanceof Element && node.matches('.mp-toast')) toasts.push(node.textContent);
      }
    }
  }).observe(document, { childList: true, subtree: true });
}

/** Waits until a condition holds. */
export async function eventually(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + DEADLINE;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
