// A mini program that has the kit in a subpackage, with the accounts of its own back end: two people of the shop talk.

import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, afterEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import type { Locator } from 'playwright-core';

import { compile } from '../../web/compile/compile';
import { rootOf } from '../../web/compile/project';
import { serve } from '../../web/compile/serve';
import { freePort } from '../port';
import { eventually, launch, Phone } from './phone';
import { BINARY, Server } from './server';

const EXAMPLE = fileURLToPath(new URL('../../../examples/embed', import.meta.url));
const KIT = fileURLToPath(new URL('../../miniprogram/imkit', import.meta.url));

const [server, browser, port] = await Promise.all([Server.start(), launch(), freePort()]);
const [key = ''] = execFileSync(
  BINARY,
  ['admin', 'api-key', 'create', '--name', 'shop', '--scopes', 'users,sessions', '--database-url', 'sqlite://im.db'],
  { cwd: server.home, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] },
).split('\n');

/** The shop's back end, as the README starts it. */
let backend = await startBackend();

async function startBackend(): Promise<ChildProcess> {
  const env = { ...process.env, IMSERVER_KEY: key, IMSERVER: server.url, PORT: String(port) };
  const child = spawn(process.execPath, [path.join(EXAMPLE, 'backend.mjs')], { env, stdio: ['ignore', 'ignore', 'inherit'] });
  await eventually('the back end answers', async () => {
    if (child.exitCode !== null) throw new Error(`the back end exited with ${child.exitCode}`);
    return (await fetch(`http://127.0.0.1:${port}/`).catch(() => null)) !== null;
  });
  return child;
}

async function stopBackend(): Promise<void> {
  const exited = new Promise((resolve) => backend.once('exit', resolve));
  backend.kill();
  await exited;
}

/** The example with a copy of the kit, and the address of this test's back end. */
const project = fs.mkdtempSync(path.join(os.tmpdir(), 'embed-'));
fs.cpSync(EXAMPLE, project, { recursive: true });
fs.rmSync(path.join(project, 'miniprogram/chat/imkit'), { recursive: true, force: true });
fs.cpSync(KIT, path.join(project, 'miniprogram/chat/imkit'), { recursive: true });
const config = path.join(project, 'miniprogram/config.ts');
fs.writeFileSync(config, fs.readFileSync(config, 'utf8').replace('http://127.0.0.1:9000', `http://127.0.0.1:${port}`));
const files = await compile(rootOf(project));
const page = await serve(files, 0);
const address = `http://127.0.0.1:${(page.address() as AddressInfo).port}/`;

after(async () => {
  await browser.close();
  await stopBackend();
  page.close();
  await server.end();
  fs.rmSync(project, { recursive: true, force: true });
});
const open: Phone[] = [];
afterEach(() => Promise.all(open.splice(0).map((phone) => phone.close())));


const LIN = 'lin rain';
const YUE = 'yue snow';

async function visit(look?: Parameters<typeof Phone.open>[2]): Promise<Phone> {
  const phone = await Phone.open(browser, address, look);
  open.push(phone);
  await phone.screen.locator('.flower').first().waitFor();
  return phone;
}

async function signIn(phone: Phone, account: string): Promise<void> {
  const [name = '', password = ''] = account.split(' ');
  await phone.screen.locator('.field input').nth(0).fill(name);
  await phone.screen.locator('.field input').nth(1).fill(password);
  await phone.screen.locator('.enter').click();
}

/** A customer who asks about a flower, and has to sign in at the shop first. */
async function customer(look?: Parameters<typeof Phone.open>[2]): Promise<Phone> {
  const lin = await visit(look);
  await lin.screen.locator('.ask').first().click();
  await signIn(lin, LIN);
  await lin.inChatWith('花间·阿月');
  return lin;
}

/** The florist, at the list of conversations. */
async function florist(look?: Parameters<typeof Phone.open>[2]): Promise<Phone> {
  const yue = await visit(look);
  await yue.screen.locator('.messages').click();
  await signIn(yue, YUE);
  await yue.page.locator('wx-page[is="chat/list/list"]').waitFor();
  return yue;
}

const style = (of: Locator, name: string): Promise<string> =>
  of.evaluate((element, property) => getComputedStyle(element).getPropertyValue(property), name);

/** Ends all sessions of a user of the shop, as if their time were over: sockets close with 4401. */
async function endSessions(externalId: string): Promise<void> {
  const url = `${server.url}/v1/admin/users/${externalId}/sessions`;
  const { status } = await fetch(url, { method: 'DELETE', headers: { authorization: `Bearer ${key}` } });
  assert.equal(status, 204);
}

test('a customer and the florist of a shop talk, in the look of the shop', async () => {
  const lin = await customer();
  await lin.send('玫瑰今天还有吗？');
  await lin.noted('玫瑰今天还有吗？', '未读');
  const yue = await florist();
  await yue.row('林小雨').locator('.badge', { hasText: '1' }).waitFor();
  // Nobody begins conversations here.
  assert.equal(await yue.screen.locator('.start').count(), 0);
  await yue.shoot('embed-list');
  await yue.openChat('林小雨');
  await yue.sees('玫瑰今天还有吗？');
  await lin.noted('玫瑰今天还有吗？', '已读');
  await yue.send('有的，给你看看');
  await lin.sees('有的，给你看看');

  // A picture.
  await yue.screen.locator('composer .plus').click();
  const chooser = yue.page.waitForEvent('filechooser');
  await yue.screen.locator('attach-panel .choice', { hasText: '相册' }).click();
  const picture = await yue.page.screenshot({ clip: { x: 0, y: 0, width: 200, height: 120 } });
  await (await chooser).setFiles([{ name: 'rose.png', mimeType: 'image/png', buffer: picture }]);
  await eventually('the customer sees the picture', () =>
    lin.screen
      .locator('.with-image img')
      .evaluateAll((images) => images.length === 1 && images.every((image) => (image as HTMLImageElement).naturalWidth > 0)),
  );

  // The shop's colours, and those of the kit where the shop has none.
  assert.equal(await style(lin.bubble('玫瑰今天还有吗？').locator('.bubble'), 'background-color'), 'rgb(246, 201, 211)');
  assert.equal(await style(lin.bubble('有的，给你看看').locator('.bubble'), 'background-color'), 'rgb(255, 255, 255)');
  const talk = lin.page.locator('wx-page[is="chat/talk/talk"]');
  assert.equal(await style(talk, '--im-page'), '#fbf4ee');
  assert.equal(await style(talk, '--im-link'), '#576b95');
  await lin.shoot('embed-chat');

  // What the shop's page does with events of the kit.
  await lin.screen.locator('.info').click();
  await lin.page.locator('wx-page[is="chat/about/about"]').waitFor();
  await lin.screen.locator('.tile', { hasText: '花间·阿月' }).waitFor();
  assert.equal(await lin.screen.locator('.tile').count(), 1, 'no button for a group');
  const mute = lin.screen.locator('[role="switch"]').first();
  await mute.click();
  await eventually('a switch has the colour of the shop', async () => (await style(mute, 'background-color')) === 'rgb(44, 122, 79)');
  await lin.shoot('embed-about');
  lin.assertQuiet();
  yue.assertQuiet();
});

test('a session that ends is replaced by the back end, and the user notices nothing', async () => {
  const lin = await customer();
  const yue = await florist();
  await yue.openChat('林小雨');
  let asked = 0;
  await lin.page.route('**/chat', (route) => {
    asked += 1;
    return route.continue();
  });
  await endSessions('c-1001');
  await eventually('the back end was asked', () => Promise.resolve(asked > 0));
  await yue.send('花束包好了');
  await lin.sees('花束包好了');
  await lin.send('我来取');
  await yue.sees('我来取');
  assert.equal(asked, 1);
  // The new one is stored: the next start asks nobody.
  await lin.page.reload();
  await lin.sees('我来取');
  assert.equal(asked, 1);
  assert.equal(await lin.page.locator('wx-page[is="pages/account/account"]').count(), 0);
});

test('a session that ends while the back end is away is replaced once it is back', async () => {
  const lin = await customer();
  await stopBackend();
  await endSessions('c-1001');
  await lin.screen.locator('connection-bar [role="status"]').waitFor();
  backend = await startBackend();
  // The shop forgets its sign-ins at a restart, so the user signs in at the shop: nowhere else.
  await lin.page.locator('wx-page[is="pages/account/account"]').waitFor();
  await signIn(lin, LIN);
  await lin.screen.locator('.ask').first().click();
  await lin.inChatWith('花间·阿月');
  await lin.send('回来了');
  await lin.bubble('回来了').locator('.note').waitFor();
});

test('a page that is opened while the back end is away says so, and goes on by a tap or by itself', async () => {
  for (const taps of [true, false]) {
    const lin = await visit({ dark: !taps });
    let isAway = true;
    await lin.page.route('**/chat', (route) => (isAway ? route.abort() : route.continue()));
    await lin.screen.locator('.messages').click();
    await signIn(lin, LIN);
    const again = lin.screen.locator('im-waiting .again');
    await again.getByText('连接失败，点击重试').waitFor();
    await lin.shoot(taps ? 'embed-away' : 'embed-away-dark');
    isAway = false;
    if (taps) await again.click();
    await lin.screen.locator('im-conversations').waitFor();
    assert.equal(await lin.screen.locator('im-waiting').count(), 0);
  }
});

test('who signs out at the shop is out of the chat, and the next one sees only their own', async () => {
  const lin = await customer();
  await lin.send('只给店家看');
  await lin.bubble('只给店家看').locator('.note').waitFor();
  await lin.back();
  const left = lin.page.waitForResponse((answer) => answer.url().endsWith('/v1/logout'));
  await lin.screen.locator('.leave').click();
  assert.equal((await left).ok(), true);
  await lin.screen.locator('.messages').click();
  await signIn(lin, 'lin snow');
  await lin.toasted('账号或密码不对');
  await signIn(lin, YUE);
  await lin.page.locator('wx-page[is="chat/list/list"]').waitFor();
  await lin.row('林小雨').locator('.preview', { hasText: '只给店家看' }).waitFor();
  assert.equal(await lin.screen.locator('.row').count(), 1);
});

test('in the dark', async () => {
  const lin = await customer({ dark: true });
  await lin.send('晚上好');
  assert.equal(await style(lin.bubble('晚上好').last().locator('.bubble'), 'background-color'), 'rgb(201, 120, 141)');
  await lin.shoot('embed-chat-dark');
  await lin.back();
  await lin.shoot('embed-home-dark');
  const yue = await florist({ dark: true });
  await yue.row('林小雨').waitFor();
  await yue.shoot('embed-list-dark');
  const light = await visit();
  await light.shoot('embed-home');
  await light.screen.locator('.messages').click();
  await light.screen.locator('.enter').waitFor();
  await light.shoot('embed-account');
});
