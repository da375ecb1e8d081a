// The pages of people and groups, and what the list offers, with a fake service.

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';

import { chat, conversation, EMPTY, LI, ME, Phone, type Routes } from './phone';

const WANG = { id: 1000002, name: '王五', avatarUrl: null };

function phone(t: TestContext, routes: Routes = {}, address = '', language = 'zh-CN'): Phone {
  const opened = new Phone({ ...EMPTY, ...routes }, address, language);
  t.after(() => {
    opened.close();
  });
  return opened;
}

/** A service with one conversation. */
function talk(more: Record<string, unknown> = {}): Routes {
  return {
    'GET /v1/conversations': () => ({ conversations: [conversation(chat(1, LI, '在吗'), more)], hasMore: false }),
    'GET /v1/conversations/3/chats': () => ({ chats: [chat(1, LI, '在吗')], hasMore: false }),
    'POST /v1/conversations/3/read': () => ({}),
    'GET /v1/blocks': () => ({ blocks: [], hasMore: false }),
    'PUT /v1/conversations/3/settings': () => conversation(chat(1, LI, '在吗')),
  };
}

/** Which switches of the page are on. */
function switches(of: Phone): (string | null)[] {
  return of.all('wx-switch').map((each) => each.getAttribute('aria-checked'));
}

async function openInfo(of: Phone): Promise<void> {
  of.tap(await of.find('.row', '李四'));
  of.tap(await of.find('.info'));
  await of.find('.mp-nav h1', '聊天信息');
  await of.find('.tile', '李四');
}

test('a switch that the service refuses goes back, and says why', async (t) => {
  const opened = phone(t, {
    ...talk(),
    'PUT /v1/conversations/3/settings': () => ({ status: 409, code: 'too_many_pinned' }),
    [`PUT /v1/blocks/${LI.id}`]: () => ({}),
  });
  await opened.signIn();
  await openInfo(opened);
  assert.deepEqual(switches(opened), ['false', 'false', 'false']);
  const [, pin, block] = opened.all('wx-switch');
  if (!pin || !block) throw new Error('there are no switches');
  opened.tap(pin);
  await opened.find('.mp-toast', '置顶的聊天太多了');
  assert.deepEqual(switches(opened), ['false', 'false', 'false']);

  // A question that is answered with no changes nothing.
  opened.tap(block);
  opened.tap(await opened.find('.mp-modal button', '取消'));
  await opened.until('the switch is back', () => switches(opened)[2] === 'false');
  opened.tap(block);
  opened.tap(await opened.find('.mp-modal button', '加入黑名单'));
  await opened.find('.mp-toast', '已加入黑名单');
  assert.deepEqual(switches(opened), ['false', 'false', 'true']);
});
