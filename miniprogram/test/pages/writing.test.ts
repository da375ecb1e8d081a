// What a chat carries that is written with a quote or with mentions, and how drafts are saved, with a fake service.

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';

import { at, chat, conversation, EMPTY, LI, ME, Phone, type Routes } from './phone';

function phone(t: TestContext, routes: Routes): Phone {
  const opened = new Phone({ ...EMPTY, ...routes });
  t.after(() => {
    opened.close();
  });
  return opened;
}

function talk(chats: object[], more: Record<string, unknown> = {}): Routes {
  const last = chats.at(-1) as Record<string, unknown>;
  return {
    'GET /v1/conversations': () => ({ conversations: [conversation(last, more)], hasMore: false }),
    'GET /v1/conversations/3/chats': () => ({ chats, hasMore: false }),
    'POST /v1/conversations/3/read': () => ({}),
    'PUT /v1/conversations/3/settings': () => ({}),
  };
}

/** Signs in and opens the conversation. */
async function enter(opened: Phone, title: string) {
  const socket = await opened.signIn();
  opened.tap(await opened.find('.row', title));
  await opened.find('textarea');
  return socket;
}

test('a chat quotes by the id, once', async (t) => {
  const opened = phone(t, talk([chat(7, LI, '周六爬山吗')]));
  const socket = await enter(opened, '李四');
  await opened.press(await opened.find('.bubble', '周六爬山吗'));
  opened.tap(await opened.find('.choice', '引用'));
  await opened.find('.quote', '李四: 周六爬山吗');
  const sends = () => socket.sent.filter(({ type }) => type === 'send');
  await opened.type('textarea', '去');
  opened.tap(await opened.find('composer .send'));
  const frame = await opened.until('send', () => sends()[0]);
  assert.equal(frame.replyTo, 7);
  assert.equal(opened.all('.quote').length, 0);
  const { clientMsgId } = frame;
  socket.receive({ type: 'sent', clientMsgId, seq: 1, chat: { ...chat(8, ME, '去'), clientMsgId } });
  await opened.type('textarea', '几点');
  opened.tap(await opened.find('composer .send'));
  const next = await opened.until('the next', () => sends()[1]);
  assert.equal(next.replyTo, undefined);
});

test('what was taken back is written again, whether the answer or the event comes first', async (t) => {
  const now = new Date().toISOString();
  const mine = (id: number, content: string) => ({ ...chat(id, ME, content), createTime: now });
  const chats = [mine(7, '说错了'), mine(8, '又错了')];
  const answered: (() => void)[] = [];
  const opened = phone(t, {
    ...talk(chats),
    'POST /v1/chats/7/recall': () => ({}),
    'POST /v1/chats/8/recall': () => {
      for (const tell of answered) tell();
      return {};
    },
  });
  const socket = await enter(opened, '李四');
  const recall = async (text: string) => {
    await opened.press(await opened.find('.bubble', text));
    opened.tap(await opened.find('.choice', '撤回'));
    await opened.until('the menu is closed', () => opened.all('.choice').length === 0);
  };
  const tell = (at: number) => {
    const recalled = { ...chats[at], content: '', state: 'recalled', version: 2 };
    socket.receive({ type: 'event', event: 'changed', seq: at + 1, chat: recalled });
  };
  const lines = (count: number) => opened.until('lines', () => opened.all('.again', opened.document).length === count);
  await recall('说错了');
  await opened.until('asked', () => opened.asked.some(({ route }) => route === 'POST /v1/chats/7/recall'));
  // All that follows from the answer happens before the next timer.
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(opened.all('.again').length, 0);
  tell(0);
  await lines(1);
  answered.push(() => {
    tell(1);
  });
  await recall('又错了');
  await lines(2);
});

test('a chat in a group mentions whom one has chosen', async (t) => {
  const { targetUserId, targetUserName, ...last } = chat(7, LI, '早');
  const group = { kind: 'group', peer: null, title: '爬山群', role: 'owner', memberCount: 2, membersVersion: 1 };
  const opened = phone(t, {
    ...talk([last], group),
    'GET /v1/conversations/3/members': () => ({
      members: [
        { user: ME, role: 'owner' },
        { user: LI, role: 'member' },
      ],
      hasMore: false,
    }),
  });
  const socket = await enter(opened, '爬山群');
  const sends = () => socket.sent.filter(({ type }) => type === 'send');
  await opened.type('textarea', '@');
  opened.tap(await opened.find('pick-sheet .row', '李四'));
  const field = (await opened.find('textarea')) as HTMLTextAreaElement;
  await opened.until('the name', () => field.value === '@李四 ');
  // A backspace takes a whole name, and of other words one character.
  await opened.type('textarea', '@李四');
  assert.equal(field.value, '');
  await opened.type('textarea', '早 ');
  await opened.type('textarea', '早');
  assert.equal(field.value, '早');
  await opened.type('textarea', '');
  await opened.type('textarea', '@');
  opened.tap(await opened.find('pick-sheet .row', '李四'));
  await opened.until('the name', () => field.value === '@李四 ');
  // It is kept with the draft.
  opened.tap(await opened.find('.mp-back'));
  opened.tap(await opened.find('.row', '爬山群'));
  const again = (await opened.find('textarea')) as HTMLTextAreaElement;
  assert.equal(again.value, '@李四 ');
  opened.tap(await opened.find('composer .send'));
  const frame = await opened.until('send', () => sends()[0]);
  assert.deepEqual(frame.mentions, [LI.id]);
  const { clientMsgId } = frame;
  const sent = { ...last, id: 8, userId: ME.id, userName: ME.name, content: '@李四 ', createTime: at(8) };
  socket.receive({ type: 'sent', clientMsgId, seq: 1, chat: { ...sent, clientMsgId } });
  // Whoever leads the group calls everybody.
  await opened.type('textarea', '@');
  opened.tap(await opened.find('pick-sheet .row', '所有人'));
  await opened.until('the name', () => again.value === '@所有人 ');
  opened.tap(await opened.find('composer .send'));
  const next = await opened.until('the next', () => sends()[1]);
  assert.equal(next.mentions, 'all');
  assert.equal(targetUserId, ME.id);
  assert.equal(targetUserName, ME.name);
});

test('a quote is kept with the draft, and a draft of another device fills an empty field alone', async (t) => {
  const opened = phone(t, talk([chat(7, LI, '周六爬山吗')]));
  const socket = await enter(opened, '李四');
  const again = async () => {
    opened.tap(await opened.find('.mp-back'));
    opened.tap(await opened.find('.row', '李四'));
    return (await opened.find('textarea')) as HTMLTextAreaElement;
  };
  await opened.press(await opened.find('.bubble', '周六爬山吗'));
  opened.tap(await opened.find('.choice', '引用'));
  await opened.find('.quote', '李四: 周六爬山吗');
  await again();
  await opened.find('.quote', '李四: 周六爬山吗');
  opened.tap(await opened.find('.unquote'));
  const field = await again();
  assert.equal(opened.all('.quote').length, 0);
  let seq = 0;
  const happened = (event: object) => {
    seq += 1;
    socket.receive({ type: 'event', seq, ...event });
  };
  const draft = (words: string) => ({ event: 'conversation', conversation: { id: 3, kind: 'direct', draft: words } });
  happened(draft('电脑上写的'));
  await opened.until('it is there', () => field.value === '电脑上写的');
  await opened.type('textarea', '手机上写的');
  happened(draft('电脑上又写了'));
  happened({ event: 'chat', chat: chat(8, LI, '好') });
  await opened.find('.text', '好');
  assert.equal(field.value, '手机上写的');
});

test('a draft of the service is restored, saved on leaving, and cleared by a send', async (t) => {
  const opened = phone(t, talk([chat(7, LI, '在吗')], { draft: '还没写完' }));
  await enter(opened, '李四');
  const field = (await opened.find('textarea')) as HTMLTextAreaElement;
  assert.equal(field.value, '还没写完');
  const saved = () => opened.asked.filter(({ route }) => route === 'PUT /v1/conversations/3/settings').map(({ body }) => body);
  await opened.type('textarea', '写完了');
  opened.tap(await opened.find('.mp-back'));
  await opened.until('saved', () => saved().length > 0);
  assert.deepEqual(saved(), [{ draft: '写完了' }]);
  opened.tap(await opened.find('.row', '李四'));
  const again = (await opened.find('textarea')) as HTMLTextAreaElement;
  opened.tap(await opened.find('composer .send'));
  await opened.until('cleared', () => saved().length > 1);
  assert.deepEqual(saved()[1], { draft: null });
  assert.equal(again.value, '');
});

test('a draft whose saving failed is saved on leaving', async (t) => {
  let fails = true;
  const opened = phone(t, {
    ...talk([chat(7, LI, '在吗')]),
    'PUT /v1/conversations/3/settings': () => (fails ? { status: 503, code: 'unavailable' } : {}),
  });
  await enter(opened, '李四');
  const saved = () => opened.asked.filter(({ route }) => route === 'PUT /v1/conversations/3/settings');
  await opened.type('textarea', '写了一半');
  await opened.until('it was tried after a pause', () => saved().length > 0);
  fails = false;
  const tried = saved().length;
  opened.tap(await opened.find('.mp-back'));
  await opened.until('it is saved', () => saved().length > tried);
  assert.deepEqual(saved().at(-1)?.body, { draft: '写了一半' });
});
