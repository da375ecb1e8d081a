// Makes, parses and resolves `ConversationKey`s.

import { isId } from './ids';
import type { ConversationId, ConversationKey, GroupKey, User, UserId } from './types';
import type { Chat, Target } from './wire';

/** The key of a group. */
export const groupKey = (id: ConversationId): GroupKey => `g${id}`;

/** The key of a row, whether it comes from the service or from storage. */
export const keyOf = ({ id, peer }: { readonly id: ConversationId; readonly peer: User | null }): ConversationKey => peer ? peer.id : groupKey(id);

/** The key of a chat that `me` sent or received. */
export const keyOfChat = ({ userId, targetUserId, conversationId }: Chat, me: UserId): ConversationKey => !targetUserId ? groupKey(conversationId) : userId === me ? targetUserId : userId;

/** The key from its text (a page's parameter): digits are a peer's id. Null for anything else. */
export const toKey = (text: unknown): ConversationKey | null => {
  const [, group, digits] = /^(g?)([1-9]\d*)$/.exec(String(text)) ?? [];
  const id = Number(digits);
  return isId(id) ? ((group ? text : id) as ConversationKey) : null;
};

/** Takes an integer from 1 to 2^53-1, or its decimal digits (a page's parameter). Null for anything else. */
export const toUserId = (value: unknown): UserId | null => {
  const key = toKey(value);
  return typeof key === 'number' ? key : null;
};

/** The id of a group. */
export const groupId = (key: GroupKey): ConversationId => Number(key.slice(1)) as ConversationId;

/** How the wire names the conversation. */
export const target = (key: ConversationKey): Target => typeof key === 'number' ? { targetUserId: key } : { conversationId: groupId(key) };
