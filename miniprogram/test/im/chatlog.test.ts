// The known chats of one conversation: answers and events in any order.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { createChatLog } from '../../miniprogram/imkit/core/chatlog';
import { toChats, type Chat } from '../../miniprogram/imkit/core/wire';

function chat(id: number, more: object = {}): Chat {
  const all = { id, conversationId: 1, userId: 2, targetUserId: 1, content: `words ${id}`, createTime: 1, version: 1, ...more };
  return toChats({ chats: [all] })!.chats[0]!;
}

const chats = (...ids: number[]) => ids.map((id) => chat(id));
const RECALLED = chat(2, { version: 2, state: 'recalled', content: '' });
const words = (log: ReturnType<typeof createChatLog>) => log.all().map(({ content, replyTo }) => replyTo ? `${content}: ${replyTo.content}` : content);
const saved = { chats: chats(1, 2), hasMore: true, seq: 1, version: 5 };

test('a page from before a recall does not bring the words back, in quotes neither', () => {
  const log = createChatLog(null, true);
  log.change(RECALLED);
  const quote = { id: 2, userId: 2, userName: '', kind: 'text', content: 'words 2' };
  log.addPage([chat(1), chat(2), chat(3, { replyTo: quote })], false, 0, 1);
  assert.deepEqual(words(log), ['words 1', '', 'words 3: ']);
  log.add(chat(2));
  log.add(chat(4, { replyTo: quote }));
  assert.deepEqual(words(log), ['words 1', '', 'words 3: ', 'words 4: ']);
});

test('a quote that says recalled takes the words of the chat', () => {
  const log = createChatLog(null, true);
  log.addPage(chats(1, 2), false, 0, 1);
  log.add(chat(3, { replyTo: { id: 2, state: 'recalled', content: '' } }));
  assert.deepEqual(words(log), ['words 1', '', 'words 3: ']);
});

test('what is deleted or cleared comes back with no page and no version', () => {
  const log = createChatLog(null, true);
  log.change({ ...RECALLED, state: 'deleted' });
  log.clear(chat(1).id);
  log.addPage(chats(1, 2, 3), false, 0, 1);
  log.change(RECALLED);
  assert.deepEqual(words(log), ['words 3']);
});

test('a page that is ahead of the timeline makes no gap', () => {
  const log = createChatLog(saved, true);
  log.addPage(chats(9, 10), true, 0, 9);
  assert.deepEqual(words(log), ['words 1', 'words 2']);
  log.addPage(chats(2, 3), true, 0, 9);
  assert.deepEqual(words(log), ['words 1', 'words 2', 'words 3']);
});

test('stored chats are repaired before they are stored again, from the version that they had', () => {
  const log = createChatLog(saved, false);
  log.add(chat(4));
  assert.equal(log.take(2), null);
  assert.equal(log.missing(), 5);
  log.repair([chat(3), RECALLED], false, 7);
  assert.deepEqual(words(log), ['words 1', '', 'words 3', 'words 4']);
  assert.equal(log.take(2)?.version, 7);
});

test('what changed too much is loaded anew', () => {
  const log = createChatLog(saved, false);
  log.repair(chats(3), true, 7);
  assert.deepEqual([words(log), log.hasMore(), log.missing(), log.loaded()], [[], true, null, false]);
});
