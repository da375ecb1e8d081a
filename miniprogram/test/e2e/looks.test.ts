// How the pages look: screenshots for people, and measurements.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { DESKTOP, eventually, PHONE, type Phone } from './phone';
import { world } from './world';

const { server, phone } = await world('limits.enabled=false');

/** A user with a few conversations, one of them with many kinds of chats. */
async function lively(name: string): Promise<void> {
  const me = await server.person(name);
  for (const [friend, ...texts] of [
    ['王小明', '周末去爬山吗？'],
    ['产品讨论', '新版原型我放在共享文件夹里了，大家有空看一下，周三之前给我意见就行'],
    ['妈妈', '早点睡', '吃饭了没有', '👍'],
    ['李四', '在吗？'],
  ] as const) {
    const other = await server.person(friend);
    for (const text of texts) await other.send(me.id, text);
    if (friend !== '李四') continue;
    await me.send(other.id, '在，怎么了');
    await other.send(me.id, '昨天说的方案我看完了，整体没问题，就是发布时间能不能往后推一周？测试那边排不开。');
    await me.send(other.id, '可以 😄');
    await me.send(other.id, '我改一下排期，下午发你。');
    await other.send(me.id, 'https://example.com/a-rather-long-address/that-has-to-be-broken-somewhere?x=1234567890');
    await other.send(me.id, '辛苦了 🙏');
  }
}

/** Nothing extends beyond the right of the screen, and nothing covers what can be tapped. */
async function assertFits(of: Phone): Promise<void> {
  const outside = await of.screen.evaluate((screen) => {
    const { right } = screen.getBoundingClientRect();
    return Array.from(screen.querySelectorAll('*'))
      .filter((element) => element.getBoundingClientRect().right > right + 0.5)
      .map((element) => element.className);
  });
  assert.deepEqual(outside, []);
}

for (const dark of [false, true]) {
  for (const [size, viewport] of [
    ['phone', PHONE],
    ['desktop', DESKTOP],
  ] as const) {
    const look = `${size}-${dark ? 'dark' : 'light'}`;
    test(`every page, ${look}`, async () => {
      const name = `张三 ${look}`;
      await lively(name);
      const zhang = await phone({ viewport, dark });
      await zhang.screen.locator('.field input').waitFor();
      await zhang.shoot(`sign-in-${look}`);
      await assertFits(zhang);
      await zhang.signIn(name);
      await zhang.row('妈妈').waitFor();
      await zhang.shoot(`conversations-${look}`);
      await assertFits(zhang);
      await zhang.openChat('李四');
      await zhang.sees('辛苦了');
      await zhang.shoot(`chat-${look}`);
      await assertFits(zhang);
      await zhang.field.fill('好的');
      await zhang.screen.locator('composer [class$=--smile]').click();
      await zhang.screen.locator('emoji-panel').waitFor();
      await zhang.shoot(`emoji-${look}`);
      await assertFits(zhang);
      await zhang.back();
      await zhang.screen.locator('.start').click();
      await zhang.screen.locator('.search input').fill('王');
      await zhang.screen.locator('.row').first().waitFor();
      await zhang.shoot(`find-${look}`);
      await assertFits(zhang);
      await zhang.back();
      await zhang.page.locator('.mp-tabs button', { hasText: '我' }).click();
      await zhang.screen.locator('profile input').waitFor();
      await zhang.shoot(`me-${look}`);
      await assertFits(zhang);
      await zhang.screen.locator('.sign-out').click();
      await zhang.page.locator('.mp-modal').waitFor();
      await zhang.shoot(`question-${look}`);
      zhang.assertQuiet();
    });
  }
}

test('text of twice the size breaks nothing', async () => {
  await lively('大字');
  const big = await phone();
  await big.screen.locator('.field input').waitFor();
  await big.page.evaluate(() => {
    document.documentElement.style.fontSize = '32px';
  });
  await big.shoot('sign-in-large');
  await assertFits(big);
  await big.signIn('大字');
  await big.row('妈妈').waitFor();
  await big.shoot('conversations-large');
  await assertFits(big);
  await big.openChat('李四');
  await big.sees('辛苦了');
  await eventually('the list is at its end', async () => (await big.distanceToEnd()) < 2);
  await big.field.fill('看得清');
  await big.shoot('chat-large');
  await assertFits(big);
});

test('failed and pending chats, and no connection', async () => {
  await lively('离线');
  const off = await phone();
  await off.signIn('离线');
  await off.openChat('李四');
  await off.sees('辛苦了');
  await server.kill();
  await off.screen.locator('connection-bar', { hasText: '连接中断' }).waitFor();
  await off.send('这条还没有发出去');
  await off.bubble('这条还没有发出去').locator('.spinner').waitFor();
  await off.shoot('outage');
  await assertFits(off);
  await server.start();
});
