// What WeChat does to a mini program, the runner does too: a tiny one in a browser meets each rule.

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
    <button id="own" class="own">发送</button>
    <button id="more" class="own" type="primary">发送</button>
    <button id="mini" size="mini">发送</button>
    <button id="agree" open-type="agreePrivacyAuthorization" bindagreeprivacyauthorization="onAgree">同意</button>
    <input id="line" class="line" />
    <input id="secret" password />
    <textarea id="plain" />
    <scroll-view id="scroll"><view>一</view></scroll-view>
    <textarea id="field" value="{{value}}" focus="{{focus}}" auto-height hold-keyboard="{{holds}}" confirm-type="return"
      bindlinechange="on" bindfocus="on" bindblur="on" bindkeyboardheightchange="on" />
    <view id="elsewhere">别处</view>
    <page-container show="{{isOver}}" overlay="{{false}}" bindleave="on"><view id="over">上面</view></page-container>
    <page-container show="{{isTwice}}" overlay="{{false}}"><view>再上面</view></page-container>`,
  'pages/a/a.wxss': `
    .own { width: 100%; margin: 0; background: #123456; }
    button.own { height: 50px; }
    .line { box-sizing: border-box; padding: 20px; }`,
  'pages/a/a.ts': `
    Page({
      data: { value: '', focus: false, holds: false, big: '', isOver: false, isTwice: false },
      told: [],
      on({ type, detail }) { this.told.push({ type, ...detail }); },
      onAgree() { this.told.push({ type: 'agree' }); },
    })`,
};

const root = fs.mkdtempSync(path.join(os.tmpdir(), 'rules-'));
for (const [name, text] of Object.entries(FILES)) {
  fs.mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
  fs.writeFileSync(path.join(root, name), text);
}
const files = await compile(root);
const browser = await launch();
const opened: Page[] = [];
afterEach(() => Promise.all(opened.splice(0).map((page) => page.close())));
after(() => browser.close());

/** Opens the mini program. The service never answers. */
async function open(query = ''): Promise<Page> {
  const page = await browser.newPage({ viewport: { width: 375, height: 812 }, locale: 'zh-CN' });
  opened.push(page);
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await page.route('http://rules.localhost/**', async (route) => {
    const { pathname } = new URL(route.request().url());
    if (pathname.startsWith('/never')) return;
    const name = pathname === '/' ? 'index.html' : path.basename(pathname);
    const type = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css' }[path.extname(name)] ?? '';
    await route.fulfill({ body: files[name] ?? '', contentType: type });
  });
  await page.goto(`http://rules.localhost/${query}`);
  await page.locator('#field').waitFor();
  return page;
}

interface Told {
  type: string;
  height?: number;
  lineCount?: number;
}

/** What runs in the page is typed by hand. */
interface Runner {
  wx: Record<string, (options: unknown) => unknown>;
  getCurrentPages: () => { told: Told[]; setData: (data: object) => void }[];
}

/** The end of one call of `wx`: `ok` or the error. */
async function call(page: Page, name: string, options: object = {}): Promise<string> {
  const { errMsg } = await page.evaluate(
    ([api, given]) =>
      new Promise<{ errMsg: string }>((resolve) => {
        (window as unknown as Runner).wx[api]?.({ ...given, complete: resolve });
      }),
    [name, options] as const,
  );
  return errMsg;
}

const told = (page: Page): Promise<Told[]> =>
  page.evaluate(() => (window as unknown as Runner).getCurrentPages()[0]?.told ?? []);

const setData = (page: Page, data: object): Promise<void> =>
  page.evaluate((given) => (window as unknown as Runner).getCurrentPages()[0]?.setData(given), data);

/** Waits until the page was told this of its fields. */
async function until(page: Page, type: string, holds: (each: Told) => boolean = () => true): Promise<void> {
  for (const deadline = Date.now() + 30_000; ; ) {
    if ((await told(page)).some((each) => each.type === type && holds(each))) return;
    if (Date.now() > deadline) throw new Error(`never: ${type}, but ${JSON.stringify(await told(page))}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test('a class alone does not win over the width and the colour of a button', async () => {
  const page = await open();
  const look = (id: string) =>
    page.locator(id).evaluate((element) => {
      const { width, height, backgroundColor } = getComputedStyle(element);
      return [width, height, backgroundColor];
    });
  assert.deepEqual(await look('#own'), ['184px', '50px', 'rgb(242, 242, 242)']);
  assert.deepEqual(await look('#more'), ['184px', '50px', 'rgb(7, 193, 96)']);
  assert.notEqual((await look('#mini'))[0], '184px');
});

test('a field, a text area and a scroll view have the sizes of the base library', async () => {
  const page = await open();
  const box = async (id: string) => {
    const { width, height } = (await page.locator(id).boundingBox()) ?? { width: 0, height: 0 };
    return [width, height];
  };
  assert.deepEqual(await box('#line'), [375, 40], 'padding and nothing else: 1.4rem are 22.4 px');
  assert.deepEqual(await box('#plain'), [300, 150]);
  assert.equal((await box('#scroll'))[0], 375);
  assert.equal((await box('#field'))[0], 300);
});

test('a password is not readable on the screen', async () => {
  const page = await open();
  const type = (id: string) => page.locator(`${id} input`).getAttribute('type');
  assert.deepEqual([await type('#secret'), (await type('#line')) ?? 'text'], ['password', 'text']);
});

test('a text area tells when its number of lines changes', async () => {
  const page = await open();
  await page.locator('#field textarea').pressSequentially('一\n二');
  await until(page, 'linechange', ({ lineCount }) => lineCount === 2);
  await page.locator('#field textarea').fill('一');
  await until(page, 'linechange', ({ lineCount }) => lineCount === 1);
  assert.equal((await told(page)).filter(({ type }) => type === 'linechange').length, 2);
});

test('a value that the page has set last is not drawn again', async () => {
  const page = await open();
  const field = page.locator('#field textarea');
  await field.fill('打了字');
  await setData(page, { value: '' });
  assert.equal(await field.inputValue(), '打了字');
  await setData(page, { value: '打' });
  assert.equal(await field.inputValue(), '打');
});

test('focus, then the keyboard; blur, then no keyboard', async () => {
  const page = await open('?keyboard=300');
  await page.locator('#field textarea').click();
  await until(page, 'keyboardheightchange', ({ height }) => height === 300);
  await page.locator('#elsewhere').click();
  await until(page, 'keyboardheightchange', ({ height }) => height === 0);
  const events = (await told(page)).map(({ type, height }) => `${type} ${height ?? ''}`.trim());
  assert.deepEqual(events, ['focus 300', 'keyboardheightchange 300', 'blur', 'keyboardheightchange 0']);
});

test('a tap elsewhere closes the keyboard, but not with hold-keyboard', async () => {
  const page = await open();
  const field = page.locator('#field textarea');
  const hasFocus = () => field.evaluate((element) => document.activeElement === element);
  await field.click();
  await page.locator('#own').click();
  assert.equal(await hasFocus(), false);
  await setData(page, { holds: true });
  await field.click();
  await page.locator('#own').click();
  assert.equal(await hasFocus(), true);
});

test('going back, or Escape, closes a page container before the page, and a page has one', async () => {
  const page = await open();
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  const count = () => page.evaluate(() => (window as unknown as Runner).getCurrentPages().length);
  const show = (data: object) =>
    page.evaluate((given) => (window as unknown as Runner).getCurrentPages().at(-1)?.setData(given), data);
  assert.equal(await call(page, 'navigateTo', { url: '/pages/a/a' }), 'navigateTo:ok');
  const over = page.locator('.mp-screen:not([hidden]) #over');
  assert.equal(await over.isVisible(), false);
  await show({ isOver: true });
  await over.waitFor();
  await show({ isTwice: true });
  await page.goBack();
  await over.waitFor({ state: 'hidden' });
  assert.equal(await count(), 2);
  // The page sets what it has set before: then it is shown again.
  await show({ isOver: false });
  await show({ isOver: true });
  await over.waitFor();
  await page.keyboard.press('Escape');
  await over.waitFor({ state: 'hidden' });
  assert.equal(await count(), 2);
  const tops = await page.evaluate(() => (window as unknown as Runner).getCurrentPages().at(-1)?.told ?? []);
  assert.equal(tops.filter(({ type }) => type === 'leave').length, 2);
  await page.goBack();
  await page.waitForFunction(() => (window as unknown as Runner).getCurrentPages().length === 1);
  assert.deepEqual(errors, ['Error: page-container: another one is shown']);
  assert.match(await call(page, 'makePhoneCall', { phoneNumber: '' }), /makePhoneCall:fail/);
});

test('a request by a method that WeChat does not know fails', async () => {
  const page = await open();
  assert.equal(await call(page, 'request', { url: 'http://rules.localhost/', method: 'PUT' }), 'request:ok');
  const failed = await call(page, 'request', { url: 'http://rules.localhost/', method: 'PATCH' });
  assert.equal(failed, 'request:fail invalid method PATCH');
});

test('an object is sent as JSON, as a form if the header says so, and by GET in the URL', async () => {
  const page = await open();
  const sent: string[] = [];
  page.on('request', (request) => {
    const type = request.headers()['content-type'] ?? '';
    sent.push([request.method(), request.url().replace('http://rules.localhost', ''), type, request.postData() ?? ''].join(' ').trim());
  });
  const url = 'http://rules.localhost/echo';
  const data = { 花: '玫瑰', n: 2 };
  for (const options of [
    { method: 'POST', data },
    { method: 'POST', data, header: { 'Content-Type': 'application/x-www-form-urlencoded' } },
    { url: `${url}?a=1`, data },
    { method: 'POST', data: 'plain' },
  ]) {
    assert.equal(await call(page, 'request', { url, ...options }), 'request:ok');
  }
  const query = '%E8%8A%B1=%E7%8E%AB%E7%91%B0&n=2';
  assert.deepEqual(sent, [
    'POST /echo application/json {"花":"玫瑰","n":2}',
    `POST /echo application/x-www-form-urlencoded ${query}`,
    `GET /echo?a=1&${query}`,
    'POST /echo application/json plain',
  ]);
});

test('an eleventh request at once fails', async () => {
  const page = await open();
  for (let at = 0; at < 10; at++) void call(page, 'request', { url: `http://rules.localhost/never/${at}` }).catch(() => '');
  assert.equal(await call(page, 'request', { url: 'http://rules.localhost/' }), 'request:fail exceed max task count');
});

test('a setData above 1,024 KB is refused', async () => {
  const page = await open();
  await setData(page, { big: 'x'.repeat(1024 * 1024 - 100) });
  await assert.rejects(setData(page, { big: 'x'.repeat(1024 * 1024) }), /at most 1048576/);
});

test('a button of a dialog has four characters of Chinese, or eight of English', async () => {
  const page = await open();
  assert.equal(await call(page, 'showModal', { confirmText: '加入黑名单' }), 'showModal:fail confirmText length should not larger than 4 Chinese characters');
  assert.match(await call(page, 'showModal', { cancelText: 'Leave group' }), /cancelText length/);
  const asked = call(page, 'showModal', { confirmText: '退出群聊', cancelText: 'Settings' });
  await page.locator('.mp-confirm').click();
  assert.equal(await asked, 'showModal:ok');
});

test('five seconds in the background interrupt what is not finished, and in a browser nothing does', async () => {
  const hide = (page: Page) =>
    page.evaluate(() => {
      Object.defineProperty(document, 'hidden', { value: true });
      document.dispatchEvent(new Event('visibilitychange'));
    });
  const [phone, tab] = [await open('?like=wechat'), await open()];
  let isOver = false;
  void call(tab, 'request', { url: 'http://rules.localhost/never' }).then(
    () => (isOver = true),
    () => undefined,
  );
  const request = call(phone, 'request', { url: 'http://rules.localhost/never' });
  await hide(tab);
  const before = Date.now();
  await hide(phone);
  assert.equal(await request, 'request:fail interrupted');
  assert.ok(Date.now() - before >= 4_900, 'not before five seconds');
  assert.equal(isOver, false);
});

test('code without the app hears when it goes to the back and comes to the front', async () => {
  const page = await open();
  await page.evaluate(() => {
    const { wx } = window as unknown as Runner;
    const heard = (window as unknown as Runner).getCurrentPages()[0]?.told ?? [];
    const removed = heard.push.bind(heard, { type: 'removed' });
    wx.onAppShow?.(removed);
    wx.onAppHide?.(removed);
    wx.offAppShow?.(removed);
    wx.offAppHide?.(undefined);
    wx.onAppShow?.(() => heard.push({ type: 'show' }));
    wx.onAppHide?.(() => heard.push({ type: 'hide' }));
    for (const hidden of [true, false]) {
      Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
      document.dispatchEvent(new Event('visibilitychange'));
    }
  });
  assert.deepEqual((await told(page)).map(({ type }) => type), ['hide', 'show']);
});

test('only the last privacy listener is asked, and an agreement needs a tap on its button', async () => {
  const page = await open('?like=wechat');
  assert.match(await call(page, 'setClipboardData', { data: '甲' }), /fail privacy permission is not authorized/);
  await page.evaluate(() => {
    const { wx } = window as unknown as Runner;
    const heard = (window as unknown as Runner).getCurrentPages()[0]?.told ?? [];
    type Decide = (decision: object) => void;
    wx.onNeedPrivacyAuthorization?.(() => heard.push({ type: 'first' }));
    wx.onNeedPrivacyAuthorization?.((decide: Decide) => {
      heard.push({ type: 'asked' });
      Object.assign(window, { decide });
    });
  });
  const decide = (decision: object) =>
    page.evaluate((given) => {
      (window as unknown as { decide: (decision: object) => void }).decide(given);
    }, decision);

  const refused = call(page, 'setClipboardData', { data: '甲' });
  await until(page, 'asked');
  await decide({ event: 'agree', buttonId: 'agree' });
  assert.match(await refused, /not authorized/, 'the button was not tapped');

  const taken = call(page, 'setClipboardData', { data: '甲' });
  await page.locator('#agree').click();
  await until(page, 'agree');
  await decide({ event: 'agree', buttonId: 'agree' });
  assert.equal(await taken, 'setClipboardData:ok');
  assert.equal(await page.locator('.mp-toast').textContent(), '内容已复制');
  assert.equal(await call(page, 'setClipboardData', { data: '乙' }), 'setClipboardData:ok', 'it is asked once');
  assert.ok(!(await told(page)).some(({ type }) => type === 'first'));
});
