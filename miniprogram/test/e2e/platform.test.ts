// What a phone adds to the pages: pull to refresh, a notch, a keyboard.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { eventually, type Phone } from './phone';
import { world } from './world';

const { server, phone } = await world('limits.enabled=false');

/** Puts a finger down at the top of the list, moves it by this many pixels, and lifts it. */
async function pull(of: Phone, pixels: number): Promise<void> {
  const box = await of.screen.locator('.list').boundingBox();
  assert.ok(box);
  const [x, y] = [box.x + box.width / 2, box.y + 40];
  const touch = await of.page.context().newCDPSession(of.page);
  const at = (type: 'touchStart' | 'touchMove', moved: number) =>
    touch.send('Input.dispatchTouchEvent', { type, touchPoints: [{ x, y: y + moved }] });
  // All at once: a finger that waits for a slow machine presses long.
  await Promise.all([
    at('touchStart', 0),
    ...Array.from({ length: pixels / 20 }, (_, step) => at('touchMove', 20 * (step + 1))),
    touch.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] }),
  ]);
}

test('a pull at the top of the list reloads it, and a short one does not', async () => {
  const zhang = await phone({ touch: true });
  await zhang.signIn('拉动');
  await zhang.screen.locator('.empty').waitFor();
  let loads = 0;
  let release = (): void => undefined;
  await zhang.page.route('**/v1/conversations?*', async (route) => {
    loads += 1;
    await new Promise<void>((resolve) => {
      release = resolve;
    });
    await route.continue();
  });
  const mark = zhang.screen.locator('.mp-refresh');
  await pull(zhang, 60);
  await mark.waitFor({ state: 'detached' });
  assert.equal(loads, 0);
  await pull(zhang, 200);
  await eventually('the list is asked for', () => Promise.resolve(loads === 1));
  assert.equal(await mark.isVisible(), true, 'it turns until the answer is there');
  release();
  await mark.waitFor({ state: 'detached' });
  zhang.assertQuiet();
});

test('the bars stay clear of the notch and of the line at the bottom', async () => {
  const zhang = await phone();
  const writer = await server.person('刘海的朋友');
  const insets = await zhang.page.context().newCDPSession(zhang.page);
  await insets.send('Emulation.setSafeAreaInsetsOverride' as never, { insets: { top: 40, bottom: 30 } } as never);
  await zhang.signIn('刘海');
  const me = await server.person('刘海');
  await writer.send(me.id, '看得见吗');
  const padding = (selector: string, side: 'Top' | 'Bottom') =>
    zhang.page.locator(selector).evaluate((element, name) => getComputedStyle(element)[name], `padding${side}` as const);
  assert.equal(await padding('.mp-screen:not([hidden]) .mp-nav', 'Top'), '40px');
  assert.equal(await padding('.mp-tabs', 'Bottom'), '30px');
  await zhang.openChat('刘海的朋友');
  const safe = zhang.screen.locator('composer [class$=--safe]');
  assert.equal((await safe.boundingBox())?.height, 30);
  // The line covers nothing of the field.
  const [field, bar] = [await zhang.field.boundingBox(), await zhang.screen.locator('composer [class$=--bar]').boundingBox()];
  assert.ok(field && bar && field.y + field.height <= bar.y + bar.height - 30);
});

test('keyboard and panel share one floor, and the list stays at its end', async () => {
  const zhang = await phone({}, '/?keyboard=280');
  const writer = await server.person('键盘的朋友');
  await zhang.signIn('键盘');
  const me = await server.person('键盘');
  for (let at = 1; at <= 30; at++) await writer.send(me.id, `第${at}条`);
  await zhang.openChat('键盘的朋友');
  await zhang.sees('第30条');
  const inputs = zhang.screen.locator('composer [class$=--inputs]');
  const y = async () => (await inputs.boundingBox())?.y ?? 0;
  const low = await y();
  const isAtEnd = () => eventually('the list is at its end', async () => (await zhang.distanceToEnd()) < 2);
  await zhang.field.click();
  await zhang.page.locator('.mp-keyboard').waitFor();
  await eventually('the bar is above the keyboard', async () => Math.abs(low - (await y()) - 280) < 2);
  assert.equal(await zhang.screen.locator('composer [class$=--safe]').count(), 0);
  await isAtEnd();

  // The highest and the lowest place of the bar, while one takes the place of the other.
  await inputs.evaluate((element) => {
    const seen: number[] = [];
    Object.assign(window, { seen });
    setInterval(() => seen.push(element.getBoundingClientRect().y), 5);
  });
  const travelled = () =>
    zhang.page.evaluate(() => {
      const { seen } = window as unknown as { seen: number[] };
      return Math.max(...seen) - Math.min(...seen);
    });
  await zhang.screen.locator('composer [class$=--smile]').click();
  await zhang.screen.locator('emoji-panel').waitFor();
  await zhang.page.locator('.mp-keyboard').waitFor({ state: 'detached' });
  assert.ok((await travelled()) < 2, `the panel is as high as the keyboard, but moved ${await travelled()} px`);
  await zhang.screen.locator('composer [class$=--keyboard]').click();
  await zhang.page.locator('.mp-keyboard').waitFor();
  await zhang.screen.locator('emoji-panel').waitFor({ state: 'detached' });
  assert.ok((await travelled()) < 2, `and back, but moved ${await travelled()} px`);

  await zhang.list.click({ position: { x: 5, y: 5 } });
  await eventually('the bar is where it was', async () => Math.abs((await y()) - low) < 1);
  await zhang.screen.locator('composer [class$=--safe]').waitFor({ state: 'attached' });
  await isAtEnd();
  zhang.assertQuiet();
});

test('the last chat stays above a growing field and below a bar that comes', async () => {
  const zhang = await phone();
  const writer = await server.person('长文的朋友');
  await zhang.signIn('长文');
  const me = await server.person('长文');
  for (let at = 1; at <= 30; at++) await writer.send(me.id, `第${at}条`);
  await zhang.openChat('长文的朋友');
  await zhang.sees('第30条');
  const isAtEnd = (why: string) => eventually(why, async () => (await zhang.distanceToEnd()) < 2);
  await isAtEnd('at its end at first');
  await zhang.field.fill('一\n二\n三\n四');
  await eventually('the field has grown', async () => ((await zhang.field.boundingBox())?.height ?? 0) > 80);
  await isAtEnd('at its end above a high field');
  await server.kill();
  await zhang.screen.locator('connection-bar [role="status"]').waitFor();
  await isAtEnd('at its end below the bar');
  await server.start();
});

test('the buttons have the sizes that the pages give them', async () => {
  const zhang = await phone();
  const width = async (selector: string) => (await zhang.screen.locator(selector).boundingBox())?.width ?? 0;
  await zhang.screen.locator('.field input').waitFor();
  assert.ok((await width('wx-button')) > 300);
  const field = await zhang.screen.locator('.field').boundingBox();
  assert.ok(field && field.height > 44, `the field is ${field?.height} px high`);
  await zhang.signIn('按钮');
  await zhang.page.locator('.mp-tabs button', { hasText: '我' }).click();
  assert.equal(await width('.sign-out'), 375);
  assert.equal(Math.round(await width('profile wx-button')), 60);
  const mine = await zhang.screen.locator('.sign-out').evaluate((button) => getComputedStyle(button).backgroundColor);
  assert.equal(mine, 'rgb(255, 255, 255)');
});
