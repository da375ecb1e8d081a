// Keys of conversations: a peer's id, or `g` and a group's.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { target, toKey } from '../../miniprogram/imkit/core/keys';
import type { ConversationId, ConversationKey, UserId } from '../../miniprogram/imkit/core/index';
import { createVault } from '../../miniprogram/imkit/core/vault';
import { Disk } from './sim/phone';

const PEER = 7 as UserId;
const GROUP: ConversationKey = `g${7 as ConversationId}`;

test('a key is what its text says', () => {
  for (const key of [PEER, GROUP]) assert.equal(toKey(`${key}`), key);
  for (const text of ['', '0', 'g', 'g0', 'x7', '7g', '-7', undefined]) assert.equal(toKey(text), null);
});

test('the wire names a direct conversation by its peer, and a group by its id', () => {
  assert.deepEqual(target(PEER), { targetUserId: PEER });
  assert.deepEqual(target(GROUP), { conversationId: 7 });
});

test('storage keeps a group beside the peer of the same number', () => {
  const disk = new Disk();
  const vault = () => createVault(disk, 'http://server', 1 as UserId, () => assert.fail());
  const logOf = (seq: number) => ({ chats: [], hasMore: false, seq, version: 0 });
  const written = vault();
  written.saveLog(PEER, logOf(1));
  written.saveLog(GROUP, logOf(2));
  assert.deepEqual(vault().read('logs'), [PEER, GROUP]);
  assert.deepEqual([vault().read(`log.${PEER}`)?.seq, vault().read(`log.${GROUP}`)?.seq], [1, 2]);
  vault().forgetCaches();
  assert.equal(disk.texts.size, 0);
});
