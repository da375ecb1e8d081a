// The pages, with a fake service.

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';

import { pick } from '../../miniprogram/platform/pick';
import { chat, conversation, EMPTY, LI, ME, Phone, type Routes } from './phone';

function phone(t: TestContext, routes: Routes = {}, hash = '', language = 'zh-CN'): Phone {
  const opened = new Phone({ ...EMPTY, ...routes }, hash, language);
  t.after(() => {
    opened.close();
  });
  return opened;
}

/** A service that has one conversation with these chats. */
function talk(chats: object[], more: Record<string, unknown> = {}): Routes {
  const last = chats.at(-1) as Record<string, unknown>;
  return {
    'GET /v1/conversations': () => ({ conversations: [conversation(last, more)], hasMore: false }),
    'GET /v1/conversations/3/chats': () => ({ chats, hasMore: false }),
    'POST /v1/conversations/3/read': () => ({}),
  };
}

async function openChat(of: Phone): Promise<void> {
  of.tap(await of.find('.row', '李四'));
  await of.find('.mp-nav h1', '李四');
  await of.find('textarea');
}

test('the sign-in page shows the logins that the service offers', async (t) => {
  const demo = phone(t);
  await demo.find('.field input');
  const wechat = phone(t, {
    'GET /v1/service': () => ({ demoLogin: false, wechatLogin: true, directory: false }),
  });
  // A browser has no login by WeChat.
  await wechat.find('.hint', '没有打开任何登录方式');
  const gone = phone(t, { 'GET /v1/service': () => ({ status: 503 }) });
  await gone.find('.hint', '连不上服务');
  gone.routes['GET /v1/service'] = () => ({ demoLogin: true });
  gone.tap(await gone.find('wx-button', '重试'));
  await gone.find('.field input');
});

test('a sign-in opens a socket with the token as a subprotocol, and shows the list', async (t) => {
  const opened = phone(t, talk([chat(7, LI, '你好')], { unread: 100, peer: { ...LI, online: true, lastSeenAt: null } }));
  const socket = await opened.signIn();
  assert.equal(socket.url, `ws://chat.test/imserver/${ME.id}`);
  assert.equal(socket.protocols.join(), 'imserver.v1,bearer.T');
  const row = await opened.find('.row', '李四');
  assert.match(row.textContent, /你好/);
  assert.equal(opened.all('.badge', row)[0]?.textContent, '99+');
  await opened.find('.row .dot');
  await opened.find('b', '99+');
  // Only people on the screen are watched.
  await opened.until('watch', () => socket.sent.some(({ userIds }) => JSON.stringify(userIds) === `[${LI.id}]`));
});

test('the list shows in which conversation somebody types', async (t) => {
  const opened = phone(t, talk([chat(7, LI, '你好')]));
  const socket = await opened.signIn();
  await opened.find('.row', '你好');
  socket.receive({ type: 'typing', userId: LI.id });
  await opened.find('.row .typing', '对方正在输入…');
});

test('a time is shown after a gap of five minutes', async (t) => {
  const chats = [chat(1, LI, '一', 0), chat(2, ME, '二', 5), chat(3, LI, '三', 10.5)];
  const opened = phone(t, talk(chats));
  await opened.signIn();
  await openChat(opened);
  await opened.find('.text', '三');
  const rows = opened.all('#list .row').filter((row) => opened.all('.text', row).length > 0);
  const times = opened.all('#list .time');
  assert.deepEqual(
    rows.map((row) => times.some((time) => time === row.previousElementSibling)),
    [true, false, true],
  );
});

test('a chat is pending, then sent, then read', async (t) => {
  const opened = phone(t, talk([chat(1, LI, '在吗')]));
  const socket = await opened.signIn();
  await openChat(opened);
  await opened.find('.text', '在吗');
  await opened.type('textarea', '在');
  opened.tap(await opened.find('composer [class$=--send]'));
  await opened.find('.mine .spinner');
  assert.equal(((await opened.find('textarea')) as HTMLTextAreaElement).value, '');
  const frame = await opened.until('send', () => socket.sent.find(({ type }) => type === 'send'));
  assert.equal(frame.content, '在');
  assert.equal(frame.targetUserId, LI.id);
  const { clientMsgId } = frame;
  socket.receive({ type: 'sent', clientMsgId, seq: 1, chat: { ...chat(2, ME, '在', 2), clientMsgId } });
  await opened.find('.mine .note', '未读');
  assert.equal(opened.all('.spinner').length, 0);
  socket.receive({ type: 'read', conversationId: 3, userId: LI.id, upTo: 2 });
  await opened.find('.mine .note', '已读');
  assert.deepEqual(opened.bubbles(), ['在吗', '在']);
});

test('a refused chat says why, and can be sent again or removed', async (t) => {
  const opened = phone(t, talk([chat(1, LI, '在吗')]));
  const socket = await opened.signIn();
  await openChat(opened);
  await opened.type('textarea', '坏');
  opened.tap(await opened.find('composer [class$=--send]'));
  const sends = () => socket.sent.filter(({ type }) => type === 'send');
  const frame = await opened.until('send', () => sends()[0]);
  socket.receive({ type: 'error', code: 'invalid_content', detail: '', clientMsgId: frame.clientMsgId });
  await opened.find('.reason', '内容不能发送');
  opened.tap(await opened.find('.failed'));
  opened.tap(await opened.find('.choice', '重发'));
  const again = await opened.until('send again', () => sends()[1]);
  socket.receive({ type: 'error', code: 'invalid_content', detail: '', clientMsgId: again.clientMsgId });
  opened.tap(await opened.find('.failed'));
  opened.tap(await opened.find('.choice', '删除'));
  opened.tap(await opened.find('.mp-modal button', '删除'));
  await opened.until('it is gone', () => opened.bubbles().length === 1);
});

test('chats of the peer are shown, and other kinds than text by their content', async (t) => {
  const opened = phone(t, talk([chat(1, LI, '在吗')]));
  const socket = await opened.signIn();
  await openChat(opened);
  const event = (seq: number, each: object) => {
    socket.receive({ type: 'event', seq, event: 'chat', chat: each });
  };
  event(1, chat(2, LI, '<b>粗</b>'));
  event(2, { ...chat(3, LI, '[视频]'), kind: 'video', body: { url: 'https://x' } });
  event(3, chat(4, LI, '第二句'));
  await opened.find('.text', '第二句');
  assert.deepEqual(opened.bubbles(), ['在吗', '<b>粗</b>', '[视频]', '第二句']);
  assert.equal(opened.all('.text b').length, 0);
  socket.receive({ type: 'typing', userId: LI.id });
  await opened.find('.presence', '对方正在输入');
  socket.receive({ type: 'presence', userId: LI.id, online: true, lastSeenAt: null });
  await opened.until('read up to the newest', () =>
    opened.asked.some(({ route, body }) => route === 'POST /v1/conversations/3/read' && JSON.stringify(body) === '{"upTo":4}'),
  );
});

test('a chat is marked as read that is drawn before the service counts it', async (t) => {
  const opened = phone(t, talk([chat(1, LI, '在吗')]));
  const socket = await opened.signIn();
  await openChat(opened);
  await opened.find('.text', '在吗');
  let count: () => void = () => undefined;
  const counted = new Promise<void>((resolve) => {
    count = resolve;
  });
  const routes = talk([chat(1, LI, '在吗'), chat(2, LI, '刚来的')], { unread: 1, readUpTo: 1, position: 2 });
  const list = routes['GET /v1/conversations'];
  Object.assign(opened.routes, routes, {
    'GET /v1/conversations': () => counted.then(() => list?.(undefined, new URLSearchParams())),
  });
  socket.receive({ type: 'reset', epoch: 'e', lastSeq: 9 });
  await opened.find('.text', '刚来的');
  count();
  await opened.until('it is marked as read', () =>
    opened.asked.some(({ route, body }) => route === 'POST /v1/conversations/3/read' && JSON.stringify(body) === '{"upTo":2}'),
  );
});

test('nobody is shown as online while the phone is not', async (t) => {
  const opened = phone(t, talk([chat(1, LI, '在吗')], { peer: { ...LI, online: true, lastSeenAt: null } }));
  const socket = await opened.signIn();
  await opened.find('.row .dot');
  socket.close(1006, '');
  await opened.until('no dot', () => opened.all('.row .dot').length === 0);
  opened.tap(await opened.find('.row', '李四'));
  await opened.find('.mp-nav h1', '李四');
  await opened.find('textarea');
  assert.equal(opened.all('.presence').map((each) => each.textContent.trim()).join(''), '');
});

test('a refused chat says for which reason somebody may not write', async (t) => {
  const opened = phone(t, talk([chat(1, LI, '在吗')]));
  const socket = await opened.signIn();
  await openChat(opened);
  for (const [code, words] of [
    ['content_rejected', '内容不合规'],
    ['not_allowed', '现在不能给对方发消息'],
  ] as const) {
    await opened.type('textarea', code);
    opened.tap(await opened.find('composer [class$=--send]'));
    const frame = await opened.until('send', () => socket.sent.find(({ content }) => content === code));
    socket.receive({ type: 'error', code, detail: '', clientMsgId: frame.clientMsgId });
    await opened.find('.reason', words);
  }
});

test('a copy that fails is not said to have worked', async (t) => {
  const opened = phone(t, talk([chat(1, LI, '在吗')]));
  await opened.signIn();
  await openChat(opened);
  opened.enable({
    setClipboardData: ({ fail }: { fail: (error: object) => void }) => {
      fail({ errMsg: 'setClipboardData:fail api scope is not declared in the privacy agreement' });
    },
  });
  await opened.press(await opened.find('.bubble', '在吗'));
  opened.tap(await opened.find('.choice', '复制'));
  await opened.find('.mp-toast', '没有复制');
});

test('the title counts what is unread', async (t) => {
  const opened = phone(t, talk([chat(1, LI, '在吗')], { unread: 3 }));
  await opened.signIn();
  await opened.find('.row', '李四');
  await opened.until('a number', () => opened.document.title === '(3) 聊天');
});

test('the app is at the service of releases, if there is one, in a development version too', () => {
  const real = 'https://im.example.org';
  assert.equal(pick('', true, real), real);
  assert.equal(pick('', true, ''), 'http://127.0.0.1:8080');
  assert.equal(pick('http://192.168.1.5:8080', true, real), 'http://192.168.1.5:8080');
  assert.equal(pick('http://192.168.1.5:8080', false, real), real);
});

test('a hidden tab stays connected and says so, and like WeChat it does not', async (t) => {
  const tab = phone(t, talk([chat(1, LI, '在吗')]));
  const socket = await tab.signIn();
  await tab.find('.row', '李四');
  tab.hide();
  await tab.until('state', () => socket.sent.some(({ type, background }) => type === 'state' && background === true));
  assert.equal(socket.readyState, 1);
  const app = phone(t, talk([chat(1, LI, '在吗')]), '?like=wechat');
  const closing = await app.signIn();
  await app.find('.row', '李四');
  app.hide();
  await app.until('closed', () => closing.readyState === 3);
});

test('a replaced connection says so, and reconnects when tapped', async (t) => {
  const opened = phone(t, talk([chat(1, LI, '在吗')]));
  const socket = await opened.signIn();
  await opened.find('.row', '李四');
  socket.close(4409, 'replaced');
  opened.tap(await opened.find('connection-bar [role="status"]', '已在别处打开'));
  await opened.connect(2);
  await opened.until('the bar is gone', () => opened.all('connection-bar [role="status"]').length === 0);
});

test('without a directory, people are found by their id', async (t) => {
  const opened = phone(t, {
    'GET /v1/service': () => ({ demoLogin: true, wechatLogin: false, directory: false }),
  });
  await opened.signIn();
  opened.tap(await opened.find('.start'));
  await opened.find('.hint', '编号');
  await opened.type('.search input', String(LI.id));
  opened.tap(await opened.find('.row', '李四'));
  await opened.find('.mp-nav h1', '李四');
  await opened.find('.top', '打个招呼吧');
  assert.ok(!opened.asked.some(({ route }) => route === 'GET /v1/users'));
});

test('a stranger whom the service does not show can be written to by the id', async (t) => {
  const opened = phone(t, {
    'GET /v1/service': () => ({ demoLogin: true, wechatLogin: false, directory: false }),
    [`GET /v1/users/${LI.id}`]: () => ({ status: 404, code: 'user_not_found' }),
  });
  const socket = await opened.signIn();
  opened.tap(await opened.find('.start'));
  await opened.find('.hint', '编号');
  await opened.type('.search input', String(LI.id));
  opened.tap(await opened.find('.row', String(LI.id)));
  await opened.find('.mp-nav h1', String(LI.id));
  await opened.type('textarea', '在吗');
  opened.tap(await opened.find('composer [class$=--send]'));
  const frame = await opened.until('send', () => socket.sent.find(({ type }) => type === 'send'));
  assert.equal(frame.targetUserId, LI.id);
  socket.receive({ type: 'error', code: 'user_not_found', detail: '', clientMsgId: frame.clientMsgId });
  await opened.find('.reason', '对方不存在');
});

test('the page says when the service refuses a name', async (t) => {
  const opened = phone(t, { 'POST /v1/login/demo': () => ({ status: 400, code: 'invalid_name' }) });
  await opened.type('.field input', '已注销');
  opened.tap(await opened.find('wx-button', '进入'));
  await opened.find('.mp-toast', '不能用这个名字');
});

test('a page that is opened by a link signs in first, and then opens', async (t) => {
  const opened = phone(t, talk([chat(1, LI, '在吗')]), `#/pages/chat/chat?peer=${LI.id}`);
  await opened.signIn();
  await opened.find('.mp-nav h1', '李四');
  await opened.find('.text', '在吗');
});

test('a phone set to English shows English', async (t) => {
  const opened = phone(t, {}, '', 'en-US');
  await opened.find('wx-button', 'Enter');
  await opened.type('.field input', 'Zhang');
  opened.tap(await opened.find('wx-button', 'Enter'));
  await opened.connect(1);
  await opened.find('.empty', 'No chats yet');
  await opened.find('button span', 'Chats');
});

test('signing out leaves nothing behind', async (t) => {
  const opened = phone(t, talk([chat(1, LI, '在吗', 0)]));
  await opened.signIn();
  await opened.find('.row', '李四');
  opened.tap(await opened.find('button', '我'));
  opened.tap(await opened.find('.sign-out'));
  opened.tap(await opened.find('.mp-modal button', '确定'));
  await opened.find('wx-button', '进入');
  assert.ok(opened.asked.some(({ route }) => route === 'POST /v1/logout'));
  const { sessionStorage } = opened.document.defaultView as Window;
  const kept = Object.keys(sessionStorage).map((key) => sessionStorage.getItem(key) ?? '');
  assert.ok(!kept.some((text) => text.includes('在吗') || text.includes('"T"')), kept.join('\n'));
});

test('the privacy gate asks before the picture is used, and answers every question', async (t) => {
  const opened = phone(t);
  type Decide = (decision: { event: string; buttonId?: string }) => void;
  let ask: ((decide: Decide) => void) | undefined;
  let isRead = false;
  opened.enable({
    onNeedPrivacyAuthorization: (gate: (decide: Decide) => void) => (ask = gate),
    openPrivacyContract: () => (isRead = true),
  });
  await opened.signIn();
  opened.tap(await opened.find('button', '我'));
  const gate = await opened.until('the gate', () => ask);
  const answers: string[] = [];
  const question: Decide = ({ event, buttonId }) => answers.push(`${event} ${buttonId ?? ''}`.trim());
  assert.equal(opened.all('[role=dialog]').length, 0);

  gate(question);
  gate(question);
  opened.tap(await opened.find('[role=dialog] [class$=--link]'));
  assert.ok(isRead);
  opened.tap(await opened.find('[role=dialog] wx-button', '同意'));
  await opened.until('no sheet', () => opened.all('[role=dialog]').length === 0);
  assert.deepEqual(answers, ['agree privacy-agree', 'agree privacy-agree']);

  gate(question);
  opened.tap(await opened.find('[role=dialog] wx-button', '拒绝'));
  await opened.until('no sheet', () => opened.all('[role=dialog]').length === 0);
  assert.deepEqual(answers.slice(2), ['disagree']);

  // Leaving the page is no agreement.
  gate(question);
  await opened.find('[role=dialog]');
  opened.tap(await opened.find('.sign-out'));
  opened.tap(await opened.find('.mp-modal button', '确定'));
  await opened.find('wx-button', '进入');
  assert.deepEqual(answers.slice(3), ['disagree']);
});

test('at midnight what was written today was written yesterday, in the list and in a chat', async (t) => {
  const today = { ...chat(7, LI, '早'), createTime: new Date().toISOString() };
  const opened = phone(t, talk([today]));
  const view = opened.document.defaultView as unknown as { setTimeout: typeof setTimeout; eval: (script: string) => void };
  // The days that wait to end: no other timer is so long.
  const nights: (() => void)[] = [];
  const { setTimeout: real } = view;
  view.setTimeout = ((run: () => void, ms: number) => (ms > 60_000 ? nights.push(run) : real(run, ms))) as typeof setTimeout;
  await opened.signIn();
  const time = await opened.until('the time in the list', () => opened.all('.row .time')[0]);
  assert.match(time.textContent, /^\d\d:\d\d$/);
  const night = () => {
    view.eval('{ const day = Date; Date = class extends day { constructor(...at) { at.length ? super(...at) : super(Date.now()); } static now() { return day.now() + 86400000; } } }');
    for (const end of nights.splice(0)) end();
  };
  await openChat(opened);
  await opened.find('.chat .text', '早');
  night();
  await opened.until('the time in the chat', () => opened.all('im-chat .time').some((each) => each.textContent.startsWith('昨天')));
  opened.tap(await opened.find('.mp-back'));
  await opened.until('the time in the list', () => opened.all('.row .time')[0]?.textContent === '昨天');
  assert.ok(nights.length > 0, 'the next day ends, too');
});
