// What a client sends and shows, one thing at a time, in virtual time.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { ConversationId, GroupKey, UserId } from '../../miniprogram/imkit/core/index';
import { core } from './core';
import { Desk, LI, ME } from './desk';

test('a send waits for retryAfterMs, and keeps the order of writing', async () => {
  const desk = await new Desk().online();
  desk.server.busy = 1;
  for (const content of ['a', 'b', 'c']) desk.client.send(LI, content);
  await desk.time.pass(20_000);
  const times = desk.sent('send').map(({ at }) => at);
  assert.ok(times.length > 2 && times.every((at, index) => index === 0 || at - times[index - 1]! >= 100), String(times));
  desk.server.busy = 0;
  await desk.time.pass(10_000);
  assert.deepEqual(desk.server.conversation(ME, LI)?.chats.map(({ content }) => content), ['a', 'b', 'c']);
});

test('many read marks, and typing on each key, are sent as little', async () => {
  const desk = await new Desk().online();
  desk.client.open(LI);
  for (let count = 0; count < 100; count += 1) {
    desk.server.store(LI, ME, `${count}`, `${count}`);
    desk.client.typing(LI);
    await desk.time.pass(100);
    desk.client.markRead(LI);
  }
  await desk.time.pass(2000);
  desk.client.markRead(LI);
  await desk.time.pass(2000);
  const marks = desk.asked.filter((route) => route.endsWith('/read')).length;
  assert.ok(marks > 2 && marks <= 22, `${marks} read marks in 10 s`);
  const typing = desk.sent('typing').length;
  assert.ok(typing >= 2 && typing <= 5, `${typing} times typing`);
  const { people, chats } = desk.server.conversation(ME, LI)!;
  assert.equal(people.get(ME)?.readUpTo, chats[chats.length - 1]!.id);
  assert.equal(desk.client.conversation(LI)?.unread, 0);
});

test('a stranger on the screen is watched from the first chat on', async () => {
  const desk = await new Desk().online();
  desk.client.watch([LI]);
  await desk.time.pass(1000);
  assert.deepEqual(desk.server.watchedBy(ME), []);
  desk.client.send(LI, 'hello');
  await desk.time.pass(1000);
  assert.deepEqual(desk.server.watchedBy(ME), [LI]);
  assert.equal(desk.client.presence(LI)?.online, true);
  desk.client.send(LI, 'and no more of it');
  await desk.time.pass(5000);
  assert.equal(desk.sent('watch').length, 2);
});

test('a user whose presence is shown only after an answer is watched again with it', async () => {
  const desk = new Desk();
  desk.server.bothWrote = true;
  await desk.online();
  desk.client.watch([LI]);
  await desk.time.pass(1000);
  for (const content of ['hello', 'are you there?', 'hm']) {
    desk.client.send(LI, content);
    await desk.time.pass(3000);
  }
  assert.deepEqual(desk.server.watchedBy(ME), []);
  assert.equal(desk.sent('watch').length, 2);
  desk.server.store(LI, ME, 'yes', 'yes');
  await desk.time.pass(1000);
  assert.deepEqual(desk.server.watchedBy(ME), [LI]);
  assert.equal(desk.client.presence(LI)?.online, true);
  desk.server.store(LI, ME, 'and more', 'and more');
  await desk.time.pass(5000);
  assert.equal(desk.sent('watch').length, 3);
});

test('a chat that would have to wait for minutes fails, and the others are sent', async () => {
  const desk = await new Desk().online();
  const stranger = 3 as UserId;
  desk.server.closedTo.add(stranger);
  desk.client.open(stranger);
  desk.client.send(stranger, 'who are you?');
  desk.client.send(LI, 'hello');
  await desk.time.pass(5000);
  assert.deepEqual(desk.server.conversation(ME, LI)?.chats.map(({ content }) => content), ['hello']);
  const [failed] = desk.client.chats(stranger).items;
  assert.equal(failed?.failure, 'rate_limited');
  await desk.time.pass(600_000);
  assert.equal(desk.sent('send').length, 2);
  desk.server.closedTo.clear();
  desk.client.resend(stranger, failed.key);
  await desk.time.pass(5000);
  assert.equal(desk.server.conversation(ME, stranger)?.chats.length, 1);
});

test('typing is shown for a while, or until the chat comes', async () => {
  const desk = await new Desk().online();
  const types = () => {
    desk.server.notify(ME, { type: 'typing', userId: LI });
  };
  types();
  await desk.time.pass(500);
  assert.equal(desk.client.isTyping(LI), true);
  await desk.time.pass(6000);
  assert.equal(desk.client.isTyping(LI), false);
  types();
  desk.server.store(LI, ME, 'done', 'k');
  await desk.time.pass(500);
  assert.equal(desk.client.isTyping(LI), false);
});

test('typing is told again at once after a chat, which ends what the other side shows', async () => {
  const desk = await new Desk().online();
  const begun = desk.time.now();
  const told = () => desk.sent('typing').map(({ at }) => at - begun);
  desk.client.typing(LI);
  await desk.time.pass(400);
  desk.client.send(LI, 'first');
  await desk.time.pass(100);
  for (let at = 500; at < 5500; at += 100) {
    desk.client.typing(LI);
    await desk.time.pass(100);
  }
  // The service may have dropped the early one, which is why it does not delay the next.
  assert.deepEqual(told(), [0, 500, 2500, 5000]);
});

test('an unsent chat tells since when it waits, also after a restart and once it is resent', async () => {
  const desk = new Desk();
  await desk.online();
  desk.client.open(LI);
  desk.app.setNetwork(false);
  desk.client.network(false);
  const written = desk.time.now();
  desk.client.send(LI, 'hello');
  const shown = () => desk.client.chats(LI).items.map(({ status, time }) => [status, time - written]);
  await desk.time.pass(20_000);
  assert.deepEqual(shown(), [['pending', 0]]);
  desk.app.kill();
  desk.launch();
  desk.server.blockedBy.add(LI);
  desk.client.open(LI);
  assert.deepEqual(shown(), [['pending', 0]]);
  await desk.time.pass(5000);
  assert.deepEqual(shown(), [['failed', 0]]);
  desk.client.resend(LI, desk.client.chats(LI).items[0]!.key);
  await desk.time.pass(10);
  assert.deepEqual(shown().map(([, time]) => time), [25_000]);
});

test('a login by WeChat sends the appid that it was given', async () => {
  const { app, session } = new Desk();
  const bodies: unknown[] = [];
  app.request = ({ url, body }) => {
    bodies.push(url, JSON.parse(body as string));
    return Promise.resolve({ status: 200, headers: {}, body: JSON.stringify(session) });
  };
  assert.deepEqual(await core.loginWechat(app, 'http://server', 'a code'), session);
  await core.loginWechat(app, 'http://server', 'a code', 'wx1');
  const url = 'http://server/v1/login/wechat';
  assert.deepEqual(bodies, [url, { code: 'a code' }, url, { code: 'a code', appid: 'wx1' }]);
});

test('unknown frames and kinds are ignored', async () => {
  const desk = await new Desk().online();
  desk.server.notify(ME, { type: 'weather', rain: true });
  desk.server.strange(ME);
  desk.server.store(LI, ME, 'after it', 'k');
  await desk.time.pass(1000);
  assert.equal(desk.client.conversation(LI)?.lastChat?.content, 'after it');
  assert.equal(desk.connects.length, 1);
  assert.deepEqual(desk.reports, []);
});

const GROUP: GroupKey = `g${1 as ConversationId}`;

async function inGroup(): Promise<Desk> {
  const desk = new Desk();
  desk.server.group(LI, 'climbing', [ME, 3]);
  await desk.online();
  desk.client.open(GROUP);
  await desk.time.pass(1000);
  return desk;
}

test('a group is shown by its title, and its chats by who wrote them', async () => {
  const desk = await inGroup();
  desk.server.say(3, 1, 'who comes?', 'a', { mentions: [ME] });
  desk.client.send(GROUP, 'me');
  await desk.time.pass(1000);
  const row = desk.client.conversation(GROUP)!;
  assert.deepEqual([row.kind, row.title, row.role, row.memberCount, row.peer, row.mentioned, row.unread], ['group', 'climbing', 'member', 3, null, true, 1]);
  const shown = desk.client.chats(GROUP).items.map(({ kind, userName, content }) => [kind, userName, content]);
  assert.deepEqual(shown.slice(1), [['text', 'user 3', 'who comes?'], ['text', 'user 1', 'me']]);
  desk.client.typing(GROUP);
  desk.server.notify(ME, { type: 'typing', userId: 3, conversationId: 1 });
  await desk.time.pass(500);
  assert.equal(desk.sent('typing')[0]?.['conversationId'], 1);
  assert.equal(desk.client.isTyping(GROUP), true);
});

test('a group is made, named, filled and left', async () => {
  const desk = await new Desk().online();
  const made = desk.client.createGroup({ title: 'tea', userIds: [LI], id: 'once' });
  const again = desk.client.createGroup({ title: 'tea', userIds: [LI], id: 'once' });
  await desk.time.pass(1000);
  const key = await made;
  assert.equal(await again, key);
  assert.equal(desk.client.conversations()[0]?.key, key);
  const left = desk.client.removeMember(key, ME);
  await desk.time.pass(1000);
  await left;
  assert.deepEqual(desk.client.conversations(), []);
  assert.equal(desk.client.conversation(key)?.left, true);
});

test('a chat of an unknown kind is shown by its words', async () => {
  const desk = await inGroup();
  desk.server.say(LI, 1, '[a poll]', 'p', { kind: 'poll', body: { options: 3 } });
  await desk.time.pass(500);
  const { kind, content, body } = desk.client.chats(GROUP).items.slice(-1)[0]!;
  assert.deepEqual([kind, content, body], ['poll', '[a poll]', { options: 3 }]);
});

test('what is marked as unread right after it was read stays marked', async () => {
  const desk = await inGroup();
  for (const text of ['one', 'two']) {
    desk.server.say(LI, 1, text, text);
    await desk.time.pass(200);
    desk.client.markRead(GROUP);
  }
  const marked = desk.client.set(GROUP, { markedUnread: true });
  await desk.time.pass(2000);
  await marked;
  const { unread, markedUnread } = desk.server.row(ME, desk.server.byId(1));
  assert.deepEqual([unread, markedUnread], [0, true]);
  assert.equal(desk.client.conversation(GROUP)?.markedUnread, true);
});

/** Another phone marks the group as unread, and this one reads it. */
async function markAndRead(desk: Awaited<ReturnType<typeof inGroup>>): Promise<void> {
  desk.server.keep(ME, desk.server.byId(1), { markedUnread: true });
  await desk.time.pass(1000);
  assert.equal(desk.client.conversation(GROUP)?.markedUnread, true);
  desk.client.markRead(GROUP);
  await desk.time.pass(2000);
  assert.equal(desk.client.conversation(GROUP)?.markedUnread, false);
}

test('reading takes the mark of the unread back, also where nothing is unread', async () => {
  const desk = await inGroup();
  desk.client.markRead(GROUP);
  await markAndRead(desk);
});

test('the mark is taken back too where one has read, and cleared, everything', async () => {
  const desk = await inGroup();
  desk.client.markRead(GROUP);
  await desk.time.pass(1000);
  const cleared = desk.client.clear(GROUP);
  await desk.time.pass(1000);
  await cleared;
  assert.deepEqual(desk.client.chats(GROUP).items, []);
  await markAndRead(desk);
});

test('the total counts conversations that are not loaded, and what comes later', async () => {
  const desk = new Desk();
  for (let peer = 2; peer < 22; peer += 1) desk.server.store(peer, ME, 'hello', `${peer}`);
  await desk.online();
  assert.deepEqual([desk.client.conversations().length, desk.client.unreadTotal], [8, 20]);
  desk.server.store(21, ME, 'and again', 'again');
  await desk.time.pass(500);
  assert.equal(desk.client.unreadTotal, 21);
  desk.client.open(21 as UserId);
  await desk.time.pass(500);
  desk.client.markRead(21 as UserId);
  await desk.time.pass(500);
  assert.equal(desk.client.unreadTotal, 19);
  // The row that comes now has an unread chat that the total counts already.
  desk.server.store(2, ME, 'and again', 'again');
  await desk.time.pass(500);
  assert.deepEqual([desk.client.conversation(2 as UserId)?.unread, desk.client.unreadTotal], [2, 20]);
});

test('what another device has read beyond the newest page is unread no more', async () => {
  const desk = new Desk();
  for (let peer = 2; peer < 22; peer += 1) desk.server.store(peer, ME, 'hello', `${peer}`);
  await desk.online();
  for (let page = 0; page < 2; page += 1) {
    void desk.client.loadMoreConversations();
    await desk.time.pass(500);
  }
  assert.deepEqual([desk.client.conversations().length, desk.client.unreadTotal], [20, 20]);
  desk.client.hide();
  await desk.time.pass(500);
  const { id, chats } = desk.server.conversation(ME, LI)!;
  desk.server.read(ME, id, chats[0]!.id);
  desk.client.show();
  await desk.time.pass(5000);
  assert.deepEqual([desk.client.conversation(LI)?.unread, desk.client.unreadTotal], [0, 19]);
});

test('a chat that was refused is sent again under a new id', async () => {
  const desk = await new Desk().online();
  desk.server.blockedBy.add(LI);
  desk.client.open(LI);
  desk.client.send(LI, 'please');
  await desk.time.pass(1000);
  desk.server.blockedBy.clear();
  desk.client.resend(LI, desk.client.chats(LI).items[0]!.key);
  await desk.time.pass(1000);
  const [first, second] = desk.sent('send').map(({ clientMsgId }) => clientMsgId);
  assert.ok(second && second !== first);
  assert.deepEqual(desk.client.chats(LI).items.map(({ status }) => status), ['sent']);
});

test('what may not be sent says why', async () => {
  const desk = await new Desk().online();
  desk.server.blockedBy.add(LI);
  desk.client.open(LI);
  desk.client.send(LI, 'please');
  await desk.time.pass(1000);
  const [item] = desk.client.chats(LI).items;
  assert.deepEqual([item?.status, item?.failure, item?.detail], ['failed', 'not_allowed', 'blocked']);
});

test('a file is uploaded with progress, and can be cancelled', async () => {
  const desk = await new Desk().online();
  desk.app.faults = { ...desk.app.faults, delayMs: 2000 };
  desk.client.open(LI);
  const progress = new Set<number | null>();
  desk.client.subscribe(() => {
    for (const item of desk.client.chats(LI).items) progress.add(item.progress);
  });
  desk.client.send(LI, { kind: 'image', content: '[图片]', file: 'a.jpg' });
  desk.client.send(LI, 'after it');
  await desk.time.pass(20_000);
  assert.ok(progress.has(0.5));
  assert.deepEqual(desk.server.said.map(({ content }) => content), ['a.jpg', 'after it']);
  desk.client.send(LI, { kind: 'image', content: '[图片]', file: 'b.jpg' });
  desk.client.send(LI, 'without it');
  await desk.time.pass(10);
  const waiting = desk.client.chats(LI).items.find(({ status, kind }) => status !== 'sent' && kind === 'image')!;
  assert.equal(desk.client.discard(LI, waiting.key), true);
  await desk.time.pass(20_000);
  assert.deepEqual(desk.server.said.map(({ content }) => content), ['a.jpg', 'after it', 'without it']);
});

test('a client that stays connected says when nobody looks, on each socket', async () => {
  const desk = await new Desk({ staysConnected: true }).online();
  desk.client.hide();
  await desk.time.pass(1000);
  assert.deepEqual([desk.client.connection.phase, desk.server.isAway(ME)], ['online', true]);
  desk.app.cut(false);
  await desk.time.pass(5000);
  assert.equal(desk.server.isAway(ME), true);
  desk.client.show();
  await desk.time.pass(1000);
  assert.equal(desk.server.isAway(ME), false);
});
