// The pages of people and groups, and what the list offers, with a fake service.

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';

import type { Conversation } from '../../miniprogram/imkit/core/index';
import { ordered } from '../../miniprogram/imkit/lists/order';
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
  opened.tap(await opened.find('.mp-modal button', '确定'));
  await opened.find('.mp-toast', '已加入黑名单');
  assert.deepEqual(switches(opened), ['false', 'false', 'true']);
});

/** A service of WeChat's users, to whom it can send messages. */
function wechat(more: Routes = {}): Routes {
  return {
    'GET /v1/service': () => ({ demoLogin: false, wechatLogin: true, directory: true, subscribeTemplates: ['T1', 'T2'] }),
    'POST /v1/login/wechat': () => ({ token: 'T', user: ME }),
    'POST /v1/wechat/subscriptions': () => ({ status: 204 }),
    ...more,
  };
}

test('whoever is new is signed in by WeChat without a question, and asked for a profile in the first chat', async (t) => {
  const opened = phone(t, wechat(talk()), '?like=wechat');
  const pages = new Set<string | null>();
  const look = () => {
    for (const page of opened.all('wx-page')) pages.add(page.getAttribute('is'));
    return opened.all('.place .row').length > 0;
  };
  look();
  assert.equal(opened.all('.list').length, 0, 'nor a list that goes away again');
  await opened.connect(1);
  await opened.until('the list', look);
  assert.deepEqual([...pages], ['pages/conversations/conversations'], 'no other page was shown');
  opened.tap(await opened.find('.row', '李四'));
  await opened.find('.introduce', '完善头像和名字');
  opened.tap(await opened.find('.introduce .close'));
  await opened.until('it is gone', () => opened.all('.introduce').length === 0);
});

test('where silent sign-in fails, the sign-in page says why', async (t) => {
  const opened = phone(t, { ...wechat(), 'POST /v1/login/wechat': () => ({ status: 403, code: 'wechat_user_blocked' }) }, '?like=wechat');
  opened.tap(await opened.find('wx-button', '微信登录'));
  await opened.find('.mp-toast', '这个微信号暂时不能登录');
});

test('a chat with somebody who is away offers a message of WeChat, and reports the answer', async (t) => {
  const away = { peer: { ...LI, online: false, lastSeenAt: '2026-11-20T03:00:00Z' } };
  const opened = phone(t, wechat(talk(away)), '?like=wechat');
  const socket = await opened.connect(1);
  opened.tap(await opened.find('.row', '李四'));
  await opened.until('watch', () => socket.sent.some(({ type }) => type === 'watch'));
  socket.receive({ type: 'presence', userId: LI.id, online: false, lastSeenAt: null });
  opened.tap(await opened.find('im-notify .offer', '有回复时通知我'));
  const always = (await opened.find('.mp-subscribe input')) as HTMLInputElement;
  always.checked = true;
  opened.tap(await opened.find('.mp-subscribe button', '允许'));
  const grants = () => opened.asked.filter(({ route }) => route === 'POST /v1/wechat/subscriptions');
  await opened.find('.mp-toast', '有回复时会通知你');
  assert.deepEqual(grants().map(({ body }) => body), [{ accepted: ['T1', 'T2'], rejected: [] }]);
  assert.equal(opened.all('im-notify .offer').length, 0);

  // The answer is kept: each chat that is sent asks for one more message, without a question.
  await opened.type('textarea', '在吗');
  opened.tap(await opened.find('composer .send'));
  await opened.until('a second grant', () => grants().length === 2);
  assert.equal(opened.all('.mp-subscribe').length, 0);
});

test('a browser, which WeChat cannot reach, offers no such message', async (t) => {
  const offers = { demoLogin: true, wechatLogin: false, directory: true, subscribeTemplates: ['T1'] };
  const opened = phone(t, { ...talk(), 'GET /v1/service': () => offers });
  const socket = await opened.signIn();
  opened.tap(await opened.find('.row', '李四'));
  await opened.find('textarea');
  socket.receive({ type: 'presence', userId: LI.id, online: false, lastSeenAt: null });
  await opened.find('.presence', '离线');
  assert.equal(opened.all('im-notify .offer').length, 0);
});

test('a preview begins with what matters most', async (t) => {
  const preview = async (more: Record<string, unknown>) => {
    const opened = phone(t, talk({ unread: 3, ...more }));
    await opened.signIn();
    const row = await opened.find('.place .row', '李四');
    return [opened.all('.preview', row)[0]?.textContent, opened.all('.mark', row)[0]?.textContent, row.getAttribute('aria-label')?.split('，')[1]];
  };
  assert.deepEqual(await preview({ draft: '写到一半' }), ['[草稿] 写到一半', '[草稿] ', '[3条]']);
  assert.deepEqual(await preview({ draft: '写到一半', mentioned: true }), ['[有人@我] 在吗', '[有人@我] ', '[3条]']);
  assert.deepEqual(await preview({ muted: true }), ['[3条] 在吗', undefined, '消息免打扰']);
});

test('a search that fails shows what the phone knows, and can be repeated', async (t) => {
  let isDown = true;
  const opened = phone(t, {
    ...talk(),
    'GET /v1/users': () => (isDown ? { status: 503, code: 'unavailable' } : { users: [LI, WANG] }),
  });
  await opened.signIn();
  await opened.find('.place .row', '李四');
  opened.tap(await opened.find('.start'));
  await opened.type('.search input', '四');
  await opened.find('.row', '李四');
  await opened.find('.hint', '网络不通');
  isDown = false;
  opened.tap(await opened.find('.again', '重试'));
  await opened.find('.row', '王五');
  assert.equal(opened.all('.row .name').length, 2, 'nobody twice');
});

test('people are chosen for a group, which is made once', async (t) => {
  let made = 0;
  const keys = new Set<unknown>();
  const group = { id: 9, kind: 'group', title: null, avatarUrl: null, memberCount: 3, membersVersion: 1, role: 'owner' };
  const opened = phone(t, {
    ...talk(),
    'GET /v1/users': () => ({ users: [WANG, ME] }),
    'POST /v1/conversations': (body) => {
      keys.add((body as { key: unknown }).key);
      made += 1;
      return made === 1 ? { status: 503, code: 'unavailable' } : group;
    },
    'GET /v1/conversations/9': () => group,
    'GET /v1/conversations/9/chats': () => ({ chats: [], hasMore: false }),
  });
  await opened.signIn();
  await opened.find('.place .row', '李四');
  opened.tap(await opened.find('.start'));
  opened.tap(await opened.find('.row', '发起群聊'));
  await opened.find('.mp-nav h1', '选择联系人');
  opened.tap(await opened.find('im-people-picker .row', '李四'));
  await opened.type('im-people-picker input', '王');
  opened.tap(await opened.find('im-people-picker .row', '王五'));
  assert.equal(opened.all('im-people-picker .row').length, 1, 'oneself is not in the list');
  const done = await opened.find('.done', '完成(2)');
  opened.tap(done);
  await opened.find('.mp-toast', '网络不通');
  opened.tap(done);
  await opened.find('textarea');
  const last = opened.asked.filter(({ route }) => route === 'POST /v1/conversations').at(-1);
  assert.deepEqual((last?.body as { userIds: number[] }).userIds, [LI.id, WANG.id]);
  assert.equal(keys.size, 1, 'a repeat names the same group');
});

test('a profile says when there is no such person, and English is complete', async (t) => {
  const opened = phone(t, { [`GET /v1/users/${WANG.id}`]: () => ({ status: 404, code: 'user_not_found' }), ...talk() }, '', 'en-GB');
  await opened.type('.field input', '张三');
  opened.tap(await opened.find('wx-button', 'Enter'));
  await opened.connect(1);
  opened.tap(await opened.find('.row', '李四'));
  opened.tap(await opened.find('.info'));
  opened.tap(await opened.find('.tile', '李四'));
  await opened.find('im-profile .title', '李四');
  const words = opened.all('im-profile').map(({ textContent }) => textContent).join();
  assert.doesNotMatch(words.replaceAll('李四', '').replaceAll('李', ''), /[一-鿿]/);
});

test('a first chat to somebody new is in the list while it waits, and when it is refused', async (t) => {
  const opened = phone(t, { ...talk(), 'GET /v1/users': () => ({ users: [WANG] }), [`GET /v1/users/${WANG.id}`]: () => WANG });
  const socket = await opened.signIn();
  await opened.find('.place .row', '李四');
  opened.tap(await opened.find('.start'));
  await opened.type('.search input', '王');
  opened.tap(await opened.find('.row', '王五'));
  await opened.find('.mp-nav h1', '王五');
  await opened.type('textarea', '你好');
  opened.tap(await opened.find('composer .send'));
  const frame = await opened.until('send', () => socket.sent.find(({ type }) => type === 'send'));
  opened.tap(await opened.find('.mp-back'));
  const names = () => opened.all('.place .name').map(({ textContent }) => textContent);
  await opened.find('.place .preview', '[未发送] 你好');
  assert.deepEqual(names(), ['王五', '李四']);
  socket.receive({ type: 'error', code: 'not_allowed', detail: 'policy', clientMsgId: frame.clientMsgId });
  await opened.find('.place .failed', '!');
  await opened.press(await opened.find('.place .row', '王五'));
  opened.tap(await opened.find('.mp-sheet button', '删除该聊天'));
  await opened.until('it is gone', () => names().join() === '李四');
});

test('unsent chats move their conversation up, and pinned ones stay on top', () => {
  const row = (key: number, time: number, more: object = {}) => {
    return { key, lastChat: { time }, unsent: null, pinned: false, ...more } as unknown as Conversation;
  };
  const unsent = (time: number) => ({ unsent: { time } });
  const keys = (list: Conversation[], unlisted: Conversation[] = []) => ordered(list, unlisted).map(({ key }) => key);
  const list = [row(1, 5, { pinned: true }), row(2, 9), row(3, 7), row(4, 3, unsent(8))];
  assert.deepEqual(keys(list), [1, 2, 4, 3]);
  assert.deepEqual(keys(list, [row(5, 0, unsent(10))]), [1, 5, 2, 4, 3]);
  assert.deepEqual(keys([row(1, 5, { pinned: true }), row(2, 4, { pinned: true, ...unsent(6) }), row(3, 9)]), [2, 1, 3]);
  assert.deepEqual(keys([row(1, 9, { ...unsent(20) })]), [1]);
  assert.deepEqual(keys([row(1, 5), row(2, 1, { pinned: true, ...unsent(1) })]), [2, 1]);
});

test('pictures of the members of a group stand beside what they write, and no read marks', async (t) => {
  const group = { id: 9, kind: 'group', title: '爬山', avatarUrl: null, memberCount: 2, membersVersion: 1, role: 'member', unread: 0, readUpTo: 0 };
  const say = (id: number, from: typeof ME) => {
    const said = { ...chat(id, from, `第${id}句`), conversationId: 9 };
    delete (said as { targetUserId?: unknown }).targetUserId;
    delete (said as { targetUserName?: unknown }).targetUserName;
    return said;
  };
  const members = [{ user: { ...LI, avatarUrl: 'http://chat.test/li.png' }, role: 'owner' }, { user: ME, role: 'member' }];
  const opened = phone(t, {
    'GET /v1/conversations': () => ({ conversations: [{ ...group, lastChat: say(2, ME) }], hasMore: false }),
    'GET /v1/conversations/9/chats': () => ({ chats: [say(1, LI), say(2, ME)], hasMore: false }),
    'GET /v1/conversations/9/members': () => ({ members, hasMore: false, membersVersion: 1 }),
  });
  await opened.signIn();
  opened.tap(await opened.find('.place .row', '爬山'));
  await opened.find('.who', '李四');
  await opened.until('the picture', () => opened.all('.theirs img').some((each) => each.getAttribute('src') === 'http://chat.test/li.png'));
  assert.equal(opened.all('.note').length, 0);
});
