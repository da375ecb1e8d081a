// What storage has. Another version of the app may have written it, or may read it.

import type { ChatId, ConversationId, ConversationKey, User } from './types';
import type { Chat } from './wire';

/** The storage keys and their values. */
export interface Saved {
  readonly cursor: Cursor;
  readonly outbox: readonly Outgoing[];
  readonly list: SavedList;
  /** Conversations with stored chats; the most recently opened last. */
  readonly logs: readonly ConversationKey[];
  readonly [log: `log.${ConversationKey}`]: SavedLog;
}

/** The place in the timeline up to which everything is applied and stored. */
export interface Cursor {
  readonly seq: number;
  readonly epoch: string;
}

/** An unsent chat. */
export interface Outgoing {
  /** The `clientMsgId`, by which the service recognises a repeat. */
  readonly id: string;
  /** The conversation. The name is that of versions before groups, which have to be able to read it. */
  readonly peerId: ConversationKey;
  readonly content: string;
  /** When it was written, in ms since 1970. */
  readonly time: number;
  /** The code of a final error; null while it waits or is in flight. */
  readonly failure: string | null;
}

/** A conversation. */
export interface Row {
  readonly id: ConversationId;
  readonly peer: User;
  readonly lastChat: Chat;
  readonly readUpTo: ChatId | 0;
  readonly peerReadUpTo: ChatId | 0;
  /** The service's last count, made when `countedTo` was the last chat. */
  readonly unread: number;
  readonly countedTo: ChatId | 0;
  /** The peer's chats since that count. */
  readonly since: readonly ChatId[];
}

export interface SavedList {
  readonly rows: readonly Row[];
  readonly pagedTo: ChatId | 0;
  readonly hasMore: boolean;
}

/** The newest chats of a conversation. */
export interface SavedLog {
  readonly chats: readonly Chat[];
  readonly hasMore: boolean;
  /** The cursor up to which nothing is missing. */
  readonly seq: number;
}
