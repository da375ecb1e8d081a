// A whole conversation by keyboard alone: nothing here touches the mouse.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, test } from 'node:test';

import type { Locator } from 'playwright-core';

import { eventually, launch, Phone } from './phone';
import { Server } from './server';
import { upload } from './tour';

const [server, browser] = await Promise.all([
  Server.start('limits.enabled=false'),
  launch('--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'),
]);
after(async () => {
  await browser.close();
  await server.end();
});

/** No page has more that can have the focus. */
const MOST_TABS = 150;

const has = (what: Locator) => what.evaluateAll((all) => all.some((each) => each === document.activeElement));

/** Whether a person sees where the focus is: a ring, or the caret of a field. */
function isSeen(of: Phone): Promise<boolean> {
  return of.page.evaluate(() => {
    const at = document.activeElement;
    if (!at || at === document.body) return false;
    const { outlineStyle, outlineWidth } = getComputedStyle(at);
    return at.matches('input, textarea') || (outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2);
  });
}

/** Goes on with Tab, or back with Shift+Tab, until this has the focus. */
async function go(of: Phone, what: Locator, key: 'Tab' | 'Shift+Tab' = 'Tab'): Promise<void> {
  await what.first().waitFor();
  for (let tabs = 0; !(await has(what)); tabs++) {
    assert.ok(tabs < MOST_TABS, `${String(what)} is not reached`);
    await of.page.keyboard.press(key);
  }
  assert.ok(await isSeen(of), `${String(what)} does not show that it has the focus`);
}

const press = (of: Phone, key: string) => of.page.keyboard.press(key);
const focused = (what: Locator, name: string) => eventually(`${name} has the focus`, () => has(what));

/** Tab never leaves what is open. */
async function assertHolds(of: Phone, box: string): Promise<void> {
  for (let tabs = 0; tabs < 12; tabs++) {
    await press(of, 'Tab');
    const where = await of.page.evaluate((selector) => {
      const at = document.activeElement;
      return !at || at === document.body || at.closest(selector) !== null ? 'inside' : at.outerHTML.slice(0, 100);
    }, box);
    assert.equal(where, 'inside');
  }
}

async function signIn(name: string): Promise<Phone> {
  const of = await Phone.open(browser, server.url);
  await go(of, of.screen.locator('.field input'));
  await of.page.keyboard.type(name);
  await press(of, 'Enter');
  await of.listed();
  return of;
}

async function find(of: Phone, name: string): Promise<void> {
  await go(of, of.screen.locator('.start'));
  await press(of, 'Enter');
  await focused(of.screen.locator('.search input'), 'the search');
  await of.page.keyboard.type(name);
  await go(of, of.screen.locator('.row', { hasText: name }));
  await press(of, 'Enter');
  await of.inChatWith(name);
}

test('from signing in to a pinned chat', async () => {
  const li = await server.person('李四');
  const me = await server.person('张三');
  const zhang = await signIn('张三');
  await find(zhang, '李四');
  const { page, screen, field } = zhang;

  // Enter sends from the field; from the button, too, and the field has the focus again.
  await go(zhang, field);
  await page.keyboard.type('第一句');
  await press(zhang, 'Enter');
  await zhang.sees('第一句');
  await focused(field, 'the field');
  await page.keyboard.type('第二句');
  await go(zhang, screen.locator('composer .send'));
  await press(zhang, 'Enter');
  await zhang.noted('第二句', '未读');
  await focused(field, 'the field');

  // The menu of a bubble holds the focus, and gives it back.
  const second = zhang.bubble('第二句').locator('.bubble');
  await go(zhang, second, 'Shift+Tab');
  assert.match((await second.getAttribute('aria-label')) ?? '', /^你：第二句，\d\d:\d\d，未读$/);
  await press(zhang, 'Enter');
  const choice = (text: string) => screen.locator('.choice', { hasText: text });
  await focused(choice('复制'), 'the first choice');
  await assertHolds(zhang, '[role=menu]');
  await press(zhang, 'Escape');
  await choice('复制').waitFor({ state: 'detached' });
  await focused(second, 'the bubble');

  // Quote
  await press(zhang, 'Enter');
  await focused(choice('复制'), 'the first choice');
  await press(zhang, 'ArrowRight');
  await focused(choice('转发'), 'the next choice');
  await go(zhang, choice('引用'));
  await press(zhang, 'Enter');
  await screen.locator('.quote').waitFor();
  await focused(field, 'the field');
  await page.keyboard.type('接着说');
  await press(zhang, 'Enter');
  await zhang.bubble('接着说').locator('.quoted').waitFor();
  await zhang.noted('接着说', '未读');

  // Recall
  await go(zhang, zhang.bubble('接着说').locator('.bubble'), 'Shift+Tab');
  await press(zhang, 'Enter');
  await go(zhang, choice('撤回'));
  await press(zhang, 'Enter');
  const again = screen.locator('.again');
  await again.waitFor();
  // As the answer or the event comes first.
  await eventually('its place or the chat before has the focus', async () => (await has(again)) || (await has(second)));
  if (!(await has(again))) await go(zhang, again);
  await press(zhang, 'Enter');
  await focused(field, 'the field');
  assert.equal(await field.inputValue(), '接着说');

  // An emoji
  await go(zhang, screen.locator('composer .smile'));
  await press(zhang, 'Enter');
  await go(zhang, screen.locator('emoji-panel .emoji', { hasText: '😄' }));
  await press(zhang, 'Enter');
  assert.equal(await field.inputValue(), '接着说😄');
  await go(zhang, screen.locator('composer .send'), 'Shift+Tab');
  await press(zhang, 'Enter');
  await zhang.noted('接着说😄', '未读');

  // A picture
  const mediaId = await upload(server, li, 'image', 'a.png');
  const chat = { clientMsgId: randomUUID(), targetUserId: me.id, kind: 'image', body: { mediaId } };
  await server.post('/v1/chats', chat, li.token);
  const picture = screen.locator('bubble-image .picture');
  await go(zhang, picture, 'Shift+Tab');
  await press(zhang, ' ');
  await page.locator('.mp-preview img').waitFor();
  await assertHolds(zhang, '.mp-preview');
  await press(zhang, 'Escape');
  await page.locator('.mp-preview').waitFor({ state: 'detached' });
  await focused(picture, 'the picture');

  // Back, and the menu of the row
  await go(zhang, screen.locator('.mp-back'), 'Shift+Tab');
  await press(zhang, 'Enter');
  await zhang.listed();
  await focused(screen.locator('.start'), 'what was pressed before');
  const row = zhang.row('李四');
  await go(zhang, row);
  await press(zhang, 'ContextMenu');
  const pin = page.locator('.mp-sheet button', { hasText: '置顶该聊天' });
  await pin.waitFor();
  await assertHolds(zhang, '.mp-sheet');
  await go(zhang, pin);
  await press(zhang, 'Enter');
  await screen.locator('.row.pinned', { hasText: '李四' }).waitFor();
  await focused(row, 'the row');
  zhang.assertQuiet();
  await zhang.close();
});

test('a voice is recorded by two presses of a key, and Escape cancels it', async () => {
  await server.person('孙七');
  const zhao = await signIn('赵六');
  await find(zhao, '孙七');
  const { screen } = zhao;
  await go(zhao, screen.locator('composer .mic'));
  await press(zhao, 'Enter');
  const button = screen.locator('voice-button .hold');
  const balloon = screen.locator('voice-button .balloon');
  await go(zhao, button);
  await press(zhao, ' ');
  await balloon.filter({ hasText: /[1-9]″/ }).waitFor();
  await press(zhao, 'Escape');
  await balloon.waitFor({ state: 'detached' });
  assert.equal(await screen.locator('bubble-voice').count(), 0);
  assert.ok(await has(button), 'the page is still there, and the button has the focus');
  await press(zhao, 'Enter');
  await balloon.filter({ hasText: /[2-9]″/ }).waitFor();
  await press(zhao, 'Enter');
  await balloon.waitFor({ state: 'detached' });
  await screen.locator('bubble-voice .voice').waitFor();
  zhao.assertQuiet();
  await zhao.close();
});
