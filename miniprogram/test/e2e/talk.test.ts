// Two people talk.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { eventually } from './phone';
import { world } from './world';

const { phone, pair } = await world();

test('two people find each other, write to each other and see read marks', async () => {
  const { zhang, li } = await pair();
  await zhang.send('在吗？');
  await zhang.noted('在吗？', '未读');

  // An unread badge at the conversation, and at the tab.
  await li.row('张三').locator('.badge', { hasText: '1' }).waitFor();
  await li.page.locator('.mp-tabs b', { hasText: '1' }).waitFor();
  await li.row('张三').locator('.preview', { hasText: '在吗？' }).waitFor();
  await li.row('张三').locator('.dot').waitFor();

  await li.openChat('张三');
  await li.sees('在吗？');
  await zhang.noted('在吗？', '已读');

  await li.send('在，你说');
  await zhang.sees('在，你说');
  // The chat was on the screen, so it is read.
  await li.noted('在，你说', '已读');
  assert.deepEqual(await zhang.texts(), ['在吗？', '在，你说']);
  assert.deepEqual(await li.texts(), ['在吗？', '在，你说']);
  // One's own chats are on the right.
  assert.equal(await zhang.bubble('在吗？').evaluate((row) => /\bmine$/.test(row.classList.value)), true);
  assert.equal(await li.bubble('在吗？').evaluate((row) => /\bmine$/.test(row.classList.value)), false);

  await li.back();
  await li.row('张三').locator('.preview', { hasText: '在，你说' }).waitFor();
  await li.row('张三').locator('.badge').waitFor({ state: 'detached' });
  zhang.assertQuiet();
  li.assertQuiet();
});

test('typing and presence show on the other side', async () => {
  const { zhang, li } = await pair();
  await zhang.send('喂');
  await li.openChat('张三');
  await li.sees('喂');
  await zhang.screen.locator('.presence', { hasText: '在线' }).waitFor();
  // A single typing frame may be lost, and its hint disappears by itself: so type on.
  const typing = zhang.screen.locator('.presence', { hasText: '对方正在输入' });
  await eventually('zhang sees that li types', async () => {
    await li.field.pressSequentially('想');
    return typing.isVisible();
  });
  await li.close();
  await zhang.screen.locator('.presence', { hasText: '最后在线' }).waitFor();
  zhang.assertQuiet();
});

test('HTML is shown as text, and every character arrives unchanged', async () => {
  const { zhang, li } = await pair();
  const texts = [
    '<img src=x onerror="document.title=1">',
    '<script>alert(1)</script>',
    '{{1+1}} &amp; "\'`',
    '  前后有空格  ',
    '第一行\n第二行',
    '👨‍👩‍👧‍👦🇨🇳 e\u0301 \u202eabc\u202c العربية',
    'x'.repeat(300),
  ];
  for (const text of texts) await zhang.send(text);
  await li.openChat('张三');
  await li.sees('x'.repeat(300));
  await eventually('all of them are drawn', async () => (await li.texts()).length >= texts.length);
  assert.deepEqual((await li.texts()).slice(-texts.length), texts);
  await eventually('all is read, and nothing else is in the title', async () => (await li.page.title()) === '张三');
  const isWide = await li.list.evaluate((list) => list.scrollWidth > list.clientWidth);
  assert.equal(isWide, false, 'a long word is broken');
  zhang.assertQuiet();
  li.assertQuiet();
});

test('emoji, the keyboard, the growing field and a long press', async () => {
  const { zhang, li } = await pair();
  const send = zhang.screen.locator('composer [class$=--send]');
  assert.equal(await send.count(), 0, 'nothing to send');
  await zhang.field.fill('   ');
  assert.equal(await send.count(), 0, 'white space is nothing');

  // An emoji is inserted at the cursor, and erased whole.
  await zhang.field.fill('好的');
  await zhang.screen.locator('composer [class$=--smile]').click();
  const emoji = zhang.screen.locator('emoji-panel [class*="emoji"]');
  await emoji.filter({ hasText: '😂' }).click();
  await emoji.filter({ hasText: '👍' }).click();
  await zhang.screen.locator('emoji-panel [class*="erase"]').click();
  assert.equal(await zhang.field.inputValue(), '好的😂');
  await send.click();
  await zhang.sees('好的😂');
  await zhang.screen.locator('composer [class$=--keyboard]').click();
  // The button leaves the focus where it is.
  await zhang.field.fill('接着写');
  await send.click();
  await zhang.sees('接着写');
  assert.equal(await zhang.field.evaluate((field) => field === document.activeElement), true);

  // Enter sends; with Shift it starts a new line, and the field grows.
  const height = () => zhang.field.evaluate((field) => field.clientHeight);
  const low = await height();
  await zhang.field.fill('一');
  await zhang.field.press('Shift+Enter');
  await zhang.field.pressSequentially('二');
  await eventually('the field has grown', async () => (await height()) > low);
  await zhang.field.press('Enter');
  await zhang.sees('一\n二');
  assert.equal(await zhang.field.inputValue(), '');
  await eventually('the field is low again', async () => (await height()) === low);

  // Enter does not send while it chooses a word of an input method.
  await zhang.field.fill('ni');
  await zhang.field.evaluate((field) =>
    field.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', isComposing: true, bubbles: true })),
  );
  assert.equal(await zhang.field.inputValue(), 'ni');

  const bubble = zhang.bubble('好的😂').locator('.bubble');
  const menu = zhang.screen.locator('.choice');
  await zhang.hold(bubble, menu.first());
  // The browser's way back closes the menu first, and so does a tap beside it.
  await zhang.page.goBack();
  await menu.first().waitFor({ state: 'detached' });
  await zhang.inChatWith('李四');
  await zhang.hold(bubble, menu.first());
  await zhang.page.mouse.click(20, 700);
  await menu.first().waitFor({ state: 'detached' });
  await zhang.hold(bubble, menu.first());
  await menu.filter({ hasText: '复制' }).click();
  await zhang.toasted('内容已复制');
  await eventually('the clipboard has it', async () => {
    return (await zhang.page.evaluate(() => navigator.clipboard.readText())) === '好的😂';
  });
  zhang.assertQuiet();
  li.assertQuiet();
});

test('a user changes the name, chooses a picture and signs out', async () => {
  const { zhang, li } = await pair();
  await zhang.send('我换名字了');
  await zhang.back();
  await zhang.page.locator('.mp-tabs button', { hasText: '我' }).click();
  const name = zhang.screen.locator('profile input');
  await name.fill('张三丰');
  await name.blur();
  await zhang.toasted('已保存');

  const chooser = zhang.page.waitForEvent('filechooser');
  await zhang.screen.locator('profile wx-button').click();
  const picture = await zhang.page.screenshot({ clip: { x: 0, y: 0, width: 200, height: 100 } });
  await (await chooser).setFiles({ name: 'me.png', mimeType: 'image/png', buffer: picture });
  const face = zhang.screen.locator('profile avatar img');
  await face.waitFor();
  assert.match((await face.getAttribute('src')) ?? '', /\/v1\/avatars\//);
  await eventually('the picture is drawn', () =>
    face.evaluate((image) => (image as HTMLImageElement).naturalWidth > 0),
  );
  await li.page.reload();
  await li.row('张三丰').locator('avatar img').waitFor();

  await zhang.screen.locator('.sign-out').click();
  await zhang.page.locator('.mp-modal button', { hasText: '确定' }).click();
  await zhang.screen.locator('wx-button', { hasText: '进入' }).waitFor();
  // The next account sees nothing of this one.
  await zhang.signIn('王五');
  await zhang.screen.locator('.empty').waitFor();
  zhang.assertQuiet();
  li.assertQuiet();
});

test('a phone set to English shows English', async () => {
  const visitor = await phone({ locale: 'en-GB' });
  await visitor.signIn('Visitor');
  await visitor.screen.locator('.start', { hasText: 'New chat' }).waitFor();
  await visitor.page.locator('.mp-tabs button', { hasText: 'Me' }).waitFor();
  visitor.assertQuiet();
});
