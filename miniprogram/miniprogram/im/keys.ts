// Makes, parses and resolves `ConversationKey`s.

import type { ConversationKey, User, UserId } from './types';
import type { Chat } from './wire';

/** The key of a row, whether it comes from the service or from storage. */
export const keyOf = ({ peer }: { readonly peer: User }): ConversationKey => peer.id;

/** The key of a chat that `me` sent or received. */
export const keyOfChat = ({ userId, targetUserId }: Chat, me: UserId): ConversationKey => userId === me ? targetUserId : userId;

/** The key from its text: digits are a peer's id. */
export const parseKey = (text: string): ConversationKey => (Number(text) || text) as ConversationKey;

/** The peer, by whom the wire names a conversation. The wire has no groups yet: a group's key throws. */
export const peerOf = (key: ConversationKey): UserId => {
  if (typeof key === 'number') return key;
  throw Error(`${key} has no peer`);
};
