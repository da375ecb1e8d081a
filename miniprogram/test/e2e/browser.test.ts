// What a person expects of a page in a browser, besides what a phone does.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { eventually, type Phone } from './phone';
import { world } from './world';

const { server, phone, pair } = await world('limits.enabled=false');

/** Moves the tab to the background or the foreground. */
async function setHidden(of: Phone, isHidden: boolean): Promise<void> {
  await of.page.evaluate((hidden) => {
    Object.defineProperty(document, 'hidden', { configurable: true, value: hidden });
    document.dispatchEvent(new Event('visibilitychange'));
  }, isHidden);
}

/** The browser's notices, instead of the real ones. As text, since the compiler puts its own words into a class. */
function pretendNotices(of: Phone, permission: 'default' | 'granted'): Promise<void> {
  return of.page.evaluate(`
    window.notices = [];
    window.Notification = class {
      static permission = '${permission}';
      static asked = 0;
      static async requestPermission() {
        this.asked += 1;
        return (this.permission = 'granted');
      }
      constructor(title, { body }) {
        window.notices.push(title + ': ' + body);
      }
      close() {
        window.notices.push('closed');
      }
    };
  `);
}

const notices = (of: Phone) => of.page.evaluate(() => (window as unknown as { notices: string[] }).notices);
const asked = (of: Phone) => of.page.evaluate(() => (window.Notification as unknown as { asked: number }).asked);

test('a chat below another page marks nothing as read after a reload', async () => {
  const { zhang, li } = await pair();
  const [me, other] = [await server.person('李四'), await server.person('张三')];
  await zhang.send('早上好');
  await li.openChat('张三');
  await li.sees('早上好');
  await li.screen.locator('.info').click();
  const info = li.page.locator('.mp-screen:not([hidden]) wx-page[is="pages/info/info"]');
  await info.waitFor();
  const title = await li.page.title();
  await li.page.reload();
  await info.waitFor();
  await other.send(me.id, '看不到的');
  await eventually('it is unread', async () => (await li.page.title()) === `(1) ${title}`);
  await li.back();
  await li.sees('看不到的');
  await eventually('it is read', async () => (await li.page.title()) === '张三');
  zhang.assertQuiet();
  li.assertQuiet();
});

test('a hidden tab counts what is unread in its title, and says so once that is allowed', async () => {
  const { zhang, li } = await pair();
  const [me, other] = [await server.person('李四'), await server.person('张三')];
  await zhang.send('在吗');
  await li.openChat('张三');
  await li.sees('在吗');
  const isRead = () => eventually('all is read', async () => (await li.page.title()) === '张三');
  await isRead();
  await pretendNotices(li, 'default');
  await setHidden(li, true);
  await other.send(me.id, '出来一下');
  await eventually('the title counts', async () => (await li.page.title()).startsWith('(1) '));
  assert.deepEqual([await notices(li), await asked(li)], [[], 0], 'nothing is asked without a tap');
  await setHidden(li, false);
  await li.field.click();
  assert.equal(await asked(li), 1);
  await isRead();
  await setHidden(li, true);
  await other.send(me.id, '秘密');
  await eventually('there is a notice', async () => (await notices(li)).length === 1);
  assert.doesNotMatch((await notices(li))[0] ?? '', /秘密/, 'a notice has no words of a chat');
  await setHidden(li, false);
  await eventually('the title counts no more', async () => (await li.page.title()) === '张三');
  assert.equal((await notices(li)).at(-1), 'closed');
  zhang.assertQuiet();
  li.assertQuiet();
});

test('words of an input method leave the caret, and a tap on 发送 leaves the focus', async () => {
  const { zhang } = await pair();
  const { field, page } = zhang;
  await field.fill(Array.from({ length: 12 }, (_, line) => `第${line}行`).join('\n'));
  await field.press('Control+End');
  const input = await page.context().newCDPSession(page);
  for (const word of ['你好', '世界']) {
    await input.send('Input.imeSetComposition', { text: 'ni', selectionStart: 2, selectionEnd: 2 });
    await input.send('Input.insertText', { text: word });
    const { at, end, hidden } = await field.evaluate((element) => {
      const { selectionStart, value, parentElement } = element as HTMLTextAreaElement;
      const box = parentElement ?? element;
      return { at: selectionStart, end: value.length, hidden: box.scrollHeight - box.clientHeight - box.scrollTop };
    });
    assert.equal(at, end);
    assert.ok(hidden < 2, 'the last line is on the screen');
  }
  assert.match(await field.inputValue(), /第11行你好世界$/);
  await zhang.screen.locator('composer .send').click();
  await zhang.sees('你好世界');
  assert.ok(await field.evaluate((element) => element === document.activeElement));
  zhang.assertQuiet();
});

test('the browser’s back closes a sheet and a question, and the page stays', async () => {
  const { zhang } = await pair();
  const { page } = zhang;
  await zhang.send('打 13812345678');
  await zhang.screen.locator('.phone').click();
  await page.locator('.mp-sheet button', { hasText: '取消' }).waitFor();
  await page.goBack();
  await page.locator('.mp-sheet').waitFor({ state: 'detached' });
  await zhang.inChatWith('李四');
  await zhang.screen.locator('.info').click();
  await zhang.screen.locator('im-direct .row', { hasText: '清空聊天记录' }).click();
  await page.locator('.mp-modal').waitFor();
  await page.goBack();
  await page.locator('.mp-modal').waitFor({ state: 'detached' });
  await zhang.screen.locator('im-direct .tile').first().waitFor();
  zhang.assertQuiet();
});

test('a nickname is kept only once WeChat has looked at it, and the gate opens at the field', async () => {
  const zhang = await phone(undefined, '/?like=wechat');
  await zhang.signIn('昵称');
  await zhang.page.locator('.mp-tabs button').nth(1).click();
  const field = zhang.screen.locator('profile input');
  const saves: string[] = [];
  zhang.page.on('request', (request) => {
    if (request.method() === 'PUT' && request.url().endsWith('/v1/me')) saves.push(request.postData() ?? '');
  });
  await field.click();
  await zhang.screen.locator('privacy .agree').click();
  await zhang.screen.locator('privacy .agree').waitFor({ state: 'detached' });
  await field.fill('违规的名字');
  await zhang.page.keyboard.press('Enter');
  await zhang.toasted('不能用这个名字');
  await eventually('the old name is back', async () => (await field.inputValue()) === '昵称');
  assert.deepEqual(saves, []);
  await field.fill('新的昵称');
  await zhang.page.keyboard.press('Enter');
  await zhang.toasted('已保存');
  assert.equal(saves.length, 1);
  zhang.assertQuiet();
});

test('words written from right to left have their punctuation at their own end', async () => {
  const { zhang } = await pair();
  await zhang.send('שלום!');
  await zhang.noted('שלום!', '未读');
  const bidi = (selector: string) =>
    zhang.screen.locator(selector).last().evaluate((element) => getComputedStyle(element).unicodeBidi);
  assert.equal(await bidi('.chat .text'), 'plaintext');
  await zhang.back();
  for (const selector of ['.row .name', '.row .preview']) assert.equal(await bidi(selector), 'plaintext', selector);
});
