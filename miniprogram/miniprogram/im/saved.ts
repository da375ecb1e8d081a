// What storage keeps: the next start of the app reads it, maybe in another version.

import type { ChatId, ConversationId, ConversationKey, User } from './types';
import type { Chat } from './wire';

/** What is kept under which key. */
export interface Saved {
  readonly cursor: Cursor;
  readonly outbox: readonly Outgoing[];
  readonly list: SavedList;
  /** Whose chats are kept; the most recently opened last. */
  readonly logs: readonly ConversationKey[];
  readonly [log: `log.${ConversationKey}`]: SavedLog;
}

/** The place in the timeline up to which all is applied and written down. */
export interface Cursor {
  readonly seq: number;
  readonly epoch: string;
}

/** A chat that is to be sent. */
export interface Outgoing {
  /** The `clientMsgId`: with it a repeat is the same chat. */
  readonly id: string;
  /** Where it goes. It has the name that storage has had from the beginning. */
  readonly peerId: ConversationKey;
  readonly content: string;
  /** When it was written, in ms since 1970. */
  readonly time: number;
  /** The code of a final error; null while it is to be sent. */
  readonly failure: string | null;
}

/** A conversation. */
export interface Row {
  readonly id: ConversationId;
  readonly peer: User;
  readonly lastChat: Chat;
  readonly readUpTo: ChatId | 0;
  readonly peerReadUpTo: ChatId | 0;
  /** By the service's last count, which was made when `countedTo` was the last chat. */
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
