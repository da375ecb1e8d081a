// The runner's switches, menus of a row, and questions for subscribe messages behave as WeChat's.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, afterEach, test } from 'node:test';

import type { Page } from 'playwright-core';

import { compile } from '../../web/compile/compile';
import { launch } from '../e2e/phone';

const FILES = {
  'app.json': '{"pages":["pages/a/a"],"style":"v2"}',
  'app.ts': 'App({})',
  'pages/a/a.json': '{}',
  'pages/a/a.wxml': `
    <switch id="switch" checked="{{on}}" bindchange="on" />
    <switch id="dead" disabled bindchange="on" />
    <view id="ask" bindtap="onAsk">问</view>
    <view id="row" aria-role="button" bindtap="on" bindlongpress="on">行</view>`,
  'pages/a/a.wxss': '',
  'pages/a/a.ts': `
    Page({
      data: { on: false },
      told: [],
      templates: ['T1', 'T2'],
      on({ type, detail }) { this.told.push({ type, ...detail }); },
      onAsk() {
        wx.requestSubscribeMessage({ tmplIds: this.templates, complete: (result) => this.told.push(result) });
      },
    })`,
};

const root = fs.mkdtempSync(path.join(os.tmpdir(), 'asking-'));
for (const [name, text] of Object.entries(FILES)) {
  fs.mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
  fs.writeFileSync(path.join(root, name), text);
}
const files = await compile(root);
const browser = await launch();
const opened: Page[] = [];
afterEach(() => Promise.all(opened.splice(0).map((page) => page.close())));
after(() => browser.close());

async function open(query = '?like=wechat'): Promise<Page> {
  const page = await browser.newPage({ viewport: { width: 375, height: 812 }, locale: 'zh-CN' });
  opened.push(page);
  await page.route('http://asking.localhost/**', async (route) => {
    const { pathname } = new URL(route.request().url());
    const name = pathname === '/' ? 'index.html' : path.basename(pathname);
    const type = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css' }[path.extname(name)] ?? '';
    await route.fulfill({ body: files[name] ?? '', contentType: type });
  });
  await page.goto(`http://asking.localhost/${query}`);
  await page.locator('#row').waitFor();
  return page;
}

interface Told {
  type?: string;
  value?: boolean;
  errMsg?: string;
  errCode?: number;
  T1?: string;
}

interface Runner {
  wx: Record<string, ((options: unknown) => unknown) | undefined>;
  getCurrentPages: () => { told: Told[]; templates: string[]; setData: (data: object) => void; onAsk: () => void }[];
}

const told = (page: Page): Promise<Told[]> =>
  page.evaluate(() => (window as unknown as Runner).getCurrentPages()[0]?.told ?? []);

/** Waits until the page was told so many things, and returns the last. */
async function last(page: Page, count: number): Promise<Told | undefined> {
  for (const deadline = Date.now() + 30_000; ; ) {
    const all = await told(page);
    if (all.length >= count) return all.at(-1);
    if (Date.now() > deadline) throw new Error(`never: ${count}, but ${JSON.stringify(all)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test('a switch moves by itself, and again only when its page says something new', async () => {
  const page = await open();
  const isOn = () => page.locator('#switch').getAttribute('aria-checked');
  const setData = (on: boolean) =>
    page.evaluate((value) => (window as unknown as Runner).getCurrentPages()[0]?.setData({ on: value }), on);
  await page.locator('#switch').click();
  assert.deepEqual(await last(page, 1), { type: 'change', value: true });
  assert.equal(await isOn(), 'true');
  // The page has had this value all the time.
  await setData(false);
  assert.equal(await isOn(), 'true');
  await setData(true);
  await setData(false);
  assert.equal(await isOn(), 'false');
  await page.locator('#switch').press(' ');
  assert.deepEqual(await last(page, 2), { type: 'change', value: true });
  await page.locator('#dead').click();
  assert.equal((await told(page)).length, 2);
});

test('the right button of a mouse and the menu key are a long press, and no tap', async () => {
  const page = await open();
  await page.locator('#row').click({ button: 'right' });
  assert.equal((await last(page, 1))?.type, 'longpress');
  await page.locator('#row').focus();
  await page.keyboard.press('ContextMenu');
  assert.equal((await last(page, 2))?.type, 'longpress');
  await page.locator('#row').click();
  assert.deepEqual((await told(page)).map(({ type }) => type), ['longpress', 'longpress', 'tap']);
});

test('a page that hears of both ends of a long press at once knows how long it was', async () => {
  const page = await open();
  const box = await page.locator('#row').boundingBox();
  assert.ok(box);
  const mouse = await page.context().newCDPSession(page);
  // Chromium moves the time of an event before the page's own beginning to that beginning.
  await page.waitForFunction(() => performance.now() > 500);
  const press = async (seconds: number) => {
    const end = Date.now() / 1000;
    const at = { x: box.x + 20, y: box.y + box.height / 2, button: 'left', clickCount: 1 } as const;
    await Promise.all([
      mouse.send('Input.dispatchMouseEvent', { type: 'mousePressed', timestamp: end - seconds, ...at }),
      mouse.send('Input.dispatchMouseEvent', { type: 'mouseReleased', timestamp: end, ...at }),
    ]);
  };
  await press(0.5);
  assert.equal((await last(page, 1))?.type, 'longpress');
  await press(0.1);
  assert.deepEqual((await told(page)).map(({ type }) => type), ['longpress', 'tap']);
});

test('a subscribe message is asked for in a tap alone, and answers can be kept', async () => {
  const page = await open();
  const ask = () => page.locator('#ask').click();
  await page.evaluate(() => {
    (window as unknown as Runner).getCurrentPages()[0]?.onAsk();
  });
  assert.match((await last(page, 1))?.errMsg ?? '', /^requestSubscribeMessage:fail .*TAP/);
  await ask();
  await page.locator('.mp-subscribe button', { hasText: '取消' }).click();
  assert.equal((await last(page, 2))?.T1, 'reject');
  await ask();
  await page.locator('.mp-subscribe input').check();
  await page.locator('.mp-subscribe button', { hasText: '允许' }).click();
  assert.equal((await last(page, 3))?.T1, 'accept');
  await ask();
  assert.equal((await last(page, 4))?.T1, 'accept');
  assert.equal(await page.locator('.mp-subscribe').count(), 0);
  const setting = await page.evaluate(() => (window as unknown as Runner).wx.getSetting?.({ withSubscriptions: true }));
  assert.deepEqual((setting as { subscriptionsSetting: unknown }).subscriptionsSetting, {
    mainSwitch: true,
    itemSettings: { T1: 'accept', T2: 'accept' },
  });
  for (const [templates, code] of [[[], 10001], [['1', '2', '3', '4', '5', '6'], 20003]] as const) {
    await page.evaluate((given) => {
      const [first] = (window as unknown as Runner).getCurrentPages();
      if (first) first.templates = [...given];
    }, templates);
    const { length } = await told(page);
    await ask();
    assert.equal((await last(page, length + 1))?.errCode, code);
  }
});

test('a browser has no login by WeChat, no message of its, and the newest version', async () => {
  const page = await open('');
  const has = await page.evaluate(() => ['login', 'requestSubscribeMessage'].map((name) => name in (window as unknown as Runner).wx));
  assert.deepEqual(has, [false, false]);
  const update = await page.evaluate(
    () =>
      new Promise((resolve) => {
        const manager = (window as unknown as Runner).wx.getUpdateManager?.({}) as { onCheckForUpdate: (told: unknown) => void };
        manager.onCheckForUpdate(resolve);
      }),
  );
  assert.deepEqual(update, { hasUpdate: false });
});
