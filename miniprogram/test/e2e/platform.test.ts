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
  await at('touchStart', 0);
  for (let moved = 20; moved <= pixels; moved += 20) await at('touchMove', moved);
  await touch.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] });
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

test('the keyboard lifts the bar, takes the place of the safe area, and the list stays at its end', async () => {
  const zhang = await phone();
  const writer = await server.person('键盘的朋友');
  await zhang.signIn('键盘');
  const me = await server.person('键盘');
  for (let at = 1; at <= 30; at++) await writer.send(me.id, `第${at}条`);
  await zhang.openChat('键盘的朋友');
  await zhang.sees('第30条');
  const bar = zhang.screen.locator('composer [class$=--bar]');
  const inputs = async () => (await zhang.screen.locator('composer [class$=--inputs]').boundingBox())?.y ?? 0;
  const low = await inputs();
  /** A browser has no such event: the composer's handler is called as WeChat does it. */
  const keyboard = (height: number) =>
    zhang.page.evaluate((pixels) => {
      interface Composer {
        onKeyboard: (event: { detail: { height: number } }) => void;
      }
      const app = window as unknown as { getCurrentPages: () => { composer: () => Composer }[] };
      app.getCurrentPages().at(-1)?.composer().onKeyboard({ detail: { height: pixels } });
    }, height);
  await keyboard(280);
  await eventually('the bar is above the keyboard', async () => low - (await inputs()) > 250);
  assert.equal(await bar.evaluate((element) => element.style.paddingBottom), '280px');
  assert.equal(await zhang.screen.locator('composer [class$=--safe]').count(), 0);
  await eventually('the list is at its end', async () => (await zhang.distanceToEnd()) < 2);
  await keyboard(0);
  await eventually('the bar is where it was', async () => Math.abs((await inputs()) - low) < 1);
  await zhang.screen.locator('composer [class$=--safe]').waitFor({ state: 'attached' });
  await eventually('the list is at its end', async () => (await zhang.distanceToEnd()) < 2);
  zhang.assertQuiet();
});
