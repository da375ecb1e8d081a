// The page comes in packages: on a slow network, and on one that is lost in between.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Route } from 'playwright-core';

import type { Phone } from './phone';
import { world } from './world';

const { server, phone } = await world();

/** A phone whose page has not been opened yet, so that what it asks for can be held back. */
function idle(look?: Parameters<typeof phone>[0]): Promise<Phone> {
  return phone(look, 'about:blank');
}

const refuse = (route: Route) => route.abort('internetdisconnected');

/** The complaints, without the browser's own about files that were refused. */
function withoutRefusals({ complaints }: Phone): string[] {
  return complaints.filter((text) => !/Failed to load resource|was preloaded using link preload/.test(text));
}

test('a chat is opened at once after the sign-in on a slow network', async () => {
  const li = await server.person('李四');
  const zhang = await idle();
  const slow = await zhang.page.context().newCDPSession(zhang.page);
  await slow.send('Network.enable');
  await slow.send('Network.emulateNetworkConditions', {
    offline: false,
    latency: 150,
    downloadThroughput: 200_000,
    uploadThroughput: 200_000,
  });
  await zhang.page.goto(`${server.url}/#/pages/sign-in/sign-in?name=${encodeURIComponent('张三')}&peer=${li.id}`);
  await zhang.inChatWith('李四');
  await zhang.send('网络很慢');
  await zhang.noted('网络很慢', '');
  zhang.assertQuiet();
});

test('a component may be there before the page that shows it', async () => {
  const zhang = await phone();
  await zhang.screen.locator('.field input').waitFor();
  await zhang.page.evaluate(async () => {
    const { mp } = window as unknown as { mp: { load: (name: string) => Promise<void> } };
    await Promise.all(['wx', 'list'].map((name) => mp.load(name)));
  });
  await zhang.signIn('先来的');
  await zhang.screen.locator('.empty').waitFor();
  zhang.assertQuiet();
});

test('a page whose package does not come says so, and opens when it has come', async () => {
  const zhang = await idle();
  await zhang.page.route(/\/page\/rest\.js/, refuse);
  await zhang.page.goto(server.url);
  await zhang.signIn('等页面的');
  await zhang.screen.locator('.start').click();
  const question = zhang.page.locator('.mp-modal', { hasText: '页面没有加载成功' });
  await question.waitFor();
  await zhang.shoot('package-failed');
  // Whoever gives up is where they were.
  await question.locator('button', { hasText: '取消' }).click();
  await question.waitFor({ state: 'detached' });
  await zhang.screen.locator('.start').click();
  await question.waitFor();
  await zhang.page.unroute(/\/page\/rest\.js/);
  await question.locator('button', { hasText: '重试' }).click();
  await zhang.screen.locator('.search input').waitFor();
  await zhang.back();
  await zhang.screen.locator('.start').waitFor();
  // The call that was given up failed, and the page that made it does not care.
  assert.deepEqual(withoutRefusals(zhang).filter((text) => !text.includes('navigateTo:fail cancel')), []);
});

test('the return of the network is an answer, and the list of conversations waits for it, too', async () => {
  const zhang = await idle({ locale: 'en-US' });
  await zhang.page.route(/\/page\/list\./, refuse);
  await zhang.page.goto(server.url);
  await zhang.signIn('等列表的');
  const question = zhang.page.locator('.mp-modal', { hasText: 'This page could not be loaded' });
  await question.waitFor();
  await zhang.page.unroute(/\/page\/list\./);
  await zhang.page.evaluate(() => window.dispatchEvent(new Event('online')));
  await zhang.screen.locator('.start').waitFor();
  await question.waitFor({ state: 'detached' });
});

for (const dark of [false, true]) {
  test(`a splash stands until the scripts have come, and says that it takes long, ${dark ? 'dark' : 'light'}`, async () => {
    const zhang = await idle({ dark });
    await zhang.page.route(/\/page\/app\.js/, refuse);
    await zhang.page.goto(server.url);
    const splash = zhang.page.locator('.mp-splash');
    await splash.locator('svg').waitFor();
    assert.equal(await splash.locator('p').isVisible(), false);
    await splash.locator('p').waitFor();
    assert.equal(await splash.locator('a', { hasText: '重新加载' }).isVisible(), true);
    await zhang.shoot(`splash-${dark ? 'dark' : 'light'}`);
    await zhang.page.unroute(/\/page\/app\.js/);
    await zhang.screen.locator('.field input').waitFor();
    assert.equal(await splash.count(), 0);
    assert.deepEqual(withoutRefusals(zhang), []);
  });
}
