// What storage has. Another version of the app may have written it, or may read it.

import type { Body, ChatId, ConversationKey, Mentions, Quote } from './types';
import type { Chat, ConversationRow } from './wire';

/** The storage keys and their values. */
export interface Saved {
  readonly cursor: Cursor;
  readonly outbox: readonly Outgoing[];
  readonly list: SavedList;
  /** Conversations with stored chats; the most recently opened last. */
  readonly logs: ConversationKey[];
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
  readonly detail: string;
  /** The service has it, and somebody has yet to allow it. */
  readonly held: boolean;
  readonly kind: string;
  /** Null in a text, and until the file is uploaded. */
  readonly body: Body | null;
  readonly file: string | null;
  readonly replyTo: Quote | null;
  readonly mentions: Mentions;
}

/** An unsent text. The version before stored no more than its words, and no more than that of chats. */
export const TEXT = { kind: 'text', body: null, file: null, replyTo: null, mentions: null, failure: null, detail: '', held: false } as const;

/** A conversation. */
export interface Row extends ConversationRow {
  /** The service's last count, `unread`, was made when this was the last chat. */
  readonly countedTo: ChatId | 0;
  /** The chats of others since that count. */
  readonly since: readonly ChatId[];
  /** It is out of the list while its last chat is not after this one; Infinity if that one is not known. */
  readonly hiddenUpTo: ChatId | 0;
  readonly clearedUpTo: ChatId | 0;
  /** Rises with each event that changes more than marks and the last chat: an answer from before is out of date. */
  readonly stamp: number;
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
  /** The conversation's version up to which nothing is missing; absent if it is not known. */
  readonly version?: number;
}
