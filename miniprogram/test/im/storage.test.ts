// What survives the app, and how much room it takes, in virtual time.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { UserId } from '../../miniprogram/imkit/core/index';
import { Desk, LI, ME } from './desk';

test('two accounts on one phone do not see each other', async () => {
  const desk = await new Desk().online();
  desk.server.up = false;
  desk.client.send(LI, 'mine');
  desk.client.stop();
  desk.launch({ session: desk.sessionOf(LI) });
  desk.client.open(ME);
  assert.deepEqual(desk.client.chats(ME).items, []);
  assert.deepEqual(desk.client.conversations(), []);
  desk.client.stop();
  desk.launch();
  desk.client.open(LI);
  assert.deepEqual(desk.client.chats(LI).items.map(({ content, status }) => [content, status]), [['mine', 'pending']]);
});

test('a chat that cannot be stored or sent is refused with a code, and changes nothing', async () => {
  const desk = await new Desk().online();
  desk.client.open(LI);
  assert.deepEqual(desk.client.send(LI, ' \n'), { ok: false, code: 'blank' });
  assert.deepEqual(desk.client.send(LI, '长'.repeat(22_000)), { ok: false, code: 'too_long' });
  desk.server.crash();
  await desk.time.pass(1000);
  for (let count = 0; count < 100; count += 1) assert.equal(desk.client.send(LI, `${count}`).ok, true);
  assert.deepEqual(desk.client.send(LI, 'one more'), { ok: false, code: 'outbox_full' });
  assert.equal(desk.client.discard(LI, 'nothing'), false);
  await desk.time.pass(1000);
  assert.equal(desk.client.chats(LI).items.length, 100);
});

test('a full storage removes caches first, and reports it', async () => {
  const desk = await new Desk().online();
  for (const peer of [2, 3, 4, 5] as UserId[]) {
    for (let count = 0; count < 30; count += 1) desk.server.store(peer, ME, 'text'.repeat(20), `${peer}-${count}`);
    desk.client.open(peer);
    await desk.time.pass(3000);
    desk.client.close(peer);
  }
  const used = [...desk.disk.texts.values()].reduce((sum, text) => sum + text.length, 0);
  desk.disk.room = used + 100;
  assert.equal(desk.client.send(LI, 'x'.repeat(2000)).ok, true);
  assert.deepEqual(desk.reports, ['storage_evicted']);
  desk.disk.room = 10;
  assert.deepEqual(desk.client.send(LI, 'no room'), { ok: false, code: 'storage_full' });
  assert.deepEqual(desk.reports.slice(-1), ['storage_full']);
});

test('storage stays within its bounds', async () => {
  const desk = await new Desk().online();
  for (let peer = 2; peer < 60; peer += 1) {
    for (let count = 0; count < 8; count += 1) desk.server.store(peer, ME, '长'.repeat(2000), `${peer}-${count}`);
    desk.client.open(peer as UserId);
    await desk.time.pass(2000);
    desk.client.close(peer as UserId);
  }
  desk.client.stop();
  const sizes = [...desk.disk.texts.values()].map((text) => Buffer.byteLength(text));
  assert.ok(Math.max(...sizes) < 1_000_000, 'each key');
  assert.ok(sizes.reduce((sum, size) => sum + size, 0) < 10_000_000, 'all of them');
  assert.ok([...desk.disk.texts.keys()].filter((key) => key.includes('log.')).length <= 30, 'conversations');
});

test('signing out leaves only what is kept on purpose', async () => {
  for (const unsent of ['keep', 'discard'] as const) {
    const desk = await new Desk().online();
    desk.client.open(LI);
    desk.server.crash();
    await desk.time.pass(2000);
    desk.client.send(LI, 'not yet');
    const ended = desk.client.signOut(unsent);
    await desk.time.pass(20_000);
    await ended;
    const keys = [...desk.disk.texts.keys()].map((key) => key.slice(key.lastIndexOf('|') + 1));
    assert.deepEqual(keys, unsent === 'keep' ? ['device', 'outbox'] : ['device']);
    assert.equal(desk.client.connection.phase, 'idle');
  }
});

/** Storage as the version before conversation keys wrote it. */
const OLD: readonly (readonly [string, string])[] = [
  ['im2|device', 'a08ff49b6f772632716c43069c43a8c3'],
  [
    'im2|http://server|1|list',
    '{"rows":[{"id":2,"peer":{"id":3,"name":"user 3","avatarUrl":null,"online":true,"lastSeenAt":null},"lastChat":{"id":5,"conversationId":2,"userId":3,"targetUserId":1,"userName":"user 3","targetUserName":"user 1","content":"it is me","createTime":1767225605000,"clientMsgId":"k2","kind":"text"},"unread":1,"readUpTo":0,"peerReadUpTo":0,"countedTo":5,"since":[]},{"id":1,"peer":{"id":2,"name":"user 2","avatarUrl":null,"online":true,"lastSeenAt":null},"lastChat":{"id":3,"conversationId":1,"userId":2,"targetUserId":1,"userName":"user 2","targetUserName":"user 1","content":"hi","createTime":1767225605000,"clientMsgId":"k1","kind":"text"},"unread":0,"readUpTo":0,"peerReadUpTo":0,"countedTo":2,"since":[3]}],"pagedTo":0,"hasMore":false}',
  ],
  ['im2|http://server|1|cursor', '{"seq":3,"epoch":"epoch-1"}'],
  [
    'im2|http://server|1|outbox',
    '[{"id":"daa36434ef2510c632d4e86a538cc03a","peerId":2,"content":"are you there?","time":1767225609000,"failure":null},{"id":"a056da5590e89a11d2b4a48e112a086c","peerId":3,"content":"who?","time":1767225609000,"failure":null}]',
  ],
  ['im2|http://server|1|logs', '[2]'],
  [
    'im2|http://server|1|log.2',
    '{"chats":[{"id":2,"conversationId":1,"userId":1,"targetUserId":2,"userName":"user 1","targetUserName":"user 2","content":"hello","createTime":1767225603030,"clientMsgId":"09d3fb64afebede10d4e8eb2af2f2616","kind":"text"},{"id":3,"conversationId":1,"userId":2,"targetUserId":1,"userName":"user 2","targetUserName":"user 1","content":"hi","createTime":1767225605000,"clientMsgId":"k1","kind":"text"}],"hasMore":false,"seq":3}',
  ],
];

test('storage of the version before conversation keys is read, and written in the same form', async () => {
  const desk = new Desk({}, OLD);
  const { client, disk, server, time } = desk;
  const rows = client.conversations().map(({ key, peer, unread, unsent }) => [key, peer?.id, unread, unsent?.content]);
  assert.deepEqual(rows, [
    [3, 3, 1, 'who?'],
    [2, 2, 1, 'are you there?'],
  ]);
  client.open(LI);
  assert.deepEqual(client.chats(LI).items.map(({ content }) => content), ['hello', 'hi', 'are you there?']);
  // A version that is rolled back reads what this one has written.
  client.send(LI, 'hm');
  const outbox = JSON.parse(disk.get('im2|http://server|1|outbox')!) as object[];
  for (const entry of outbox) for (const key of ['id', 'peerId', 'content', 'time', 'failure']) assert.ok(key in entry, key);
  await time.pass(5000);
  const sent = (peer: number) => server.conversation(ME, peer)?.chats.map(({ content }) => content);
  assert.deepEqual([sent(2), sent(3)], [['are you there?', 'hm'], ['who?']]);
});
