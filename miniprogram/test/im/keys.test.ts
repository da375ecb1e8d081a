// Keys of conversations: a peer's id, or `g` and a group's.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { parseKey, peerOf } from '../../miniprogram/im/keys';
import type { ConversationId, ConversationKey, UserId } from '../../miniprogram/im/types';
import { createVault } from '../../miniprogram/im/vault';
import { Disk } from './sim/phone';

const PEER = 7 as UserId;
const GROUP: ConversationKey = `g${7 as ConversationId}`;

test('a key is what its text says', () => {
  for (const key of [PEER, GROUP]) assert.equal(parseKey(`${key}`), key);
});

test('only a direct conversation has a peer', () => {
  assert.equal(peerOf(PEER), PEER);
  assert.throws(() => peerOf(GROUP), /g7 has no peer/);
});

test('storage keeps a group beside the peer of the same number', () => {
  const disk = new Disk();
  const vault = () => createVault(disk, 'http://server', 1 as UserId, () => assert.fail());
  const logOf = (seq: number) => ({ chats: [], hasMore: false, seq });
  const written = vault();
  written.saveLog(PEER, logOf(1));
  written.saveLog(GROUP, logOf(2));
  assert.deepEqual(vault().read('logs'), [PEER, GROUP]);
  assert.deepEqual([vault().read(`log.${PEER}`)?.seq, vault().read(`log.${GROUP}`)?.seq], [1, 2]);
  vault().forgetCaches();
  assert.equal(disk.texts.size, 0);
});
