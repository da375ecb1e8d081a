// /demo: two phones side by side, ready to talk to each other.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { DESKTOP } from './phone';
import { world } from './world';

const { phone } = await world();

test('two phones on one page talk to each other', async () => {
  const demo = await phone({ viewport: DESKTOP }, '/demo');
  const { page } = demo;
  const [zhang, li] = [page.frameLocator('iframe[title="张三"]'), page.frameLocator('iframe[title="李四"]')];
  await zhang.locator('.mp-nav h1', { hasText: '李四' }).waitFor();
  await li.locator('.mp-nav h1', { hasText: '张三' }).waitFor();
  for (const [from, to, text] of [
    [zhang, li, '李四，晚上一起吃饭？'],
    [li, zhang, '好啊，老地方见 😄'],
  ] as const) {
    await from.locator('textarea').fill(text);
    await from.locator('composer [class$=--send]').click();
    await to.locator('.chat', { hasText: text }).waitFor();
  }
  await zhang.locator('.note', { hasText: '已读' }).waitFor();
  await li.locator('.note', { hasText: '已读' }).waitFor();
  await demo.shoot('demo');
  // Going back on one phone does not affect the other.
  await zhang.locator('.mp-back:visible').click();
  await zhang.locator('.row', { hasText: '李四' }).waitFor();
  assert.equal(await li.locator('textarea').count(), 1);
  // A reload brings both back.
  await page.reload();
  await zhang.locator('.chat', { hasText: '老地方见' }).waitFor();
  await li.locator('.chat', { hasText: '老地方见' }).waitFor();
  demo.assertQuiet();
});
