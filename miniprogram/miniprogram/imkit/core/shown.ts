// What pages read: the connection, rows, bubbles, how they change, and what a call answers.

import type { Body, ChatId, ConversationId, ConversationKey, Mentions, Presence, Quote, Role, Session, Settings, User, UserId } from './types';

/** The state of the connection; `reason` and `until` are for a message on the screen. */
export type Connection =
  /** Not started, or stopped by `stop`. */
  | { readonly phase: 'idle' }
  /** In the background: no socket. */
  | { readonly phase: 'hidden' }
  /** The phone has no network. */
  | { readonly phase: 'offline' }
  /** Between two attempts; the next one is at `until`, in ms since 1970. */
  | { readonly phase: 'waiting'; readonly until: number }
  | { readonly phase: 'connecting' }
  | { readonly phase: 'signing_in' }
  /** Connected; it is loading what it missed. */
  | { readonly phase: 'syncing' }
  | { readonly phase: 'online' }
  /** It does not reconnect by itself; `start` does. */
  | { readonly phase: 'stopped'; readonly reason: StopReason };

export type StopReason =
  /** `login` answered null. */
  | 'signed_out'
  /** `login` answered with another user. */
  | 'other_account'
  /** The service closed normally (1000, 1001). `show` and a new network also reconnect. */
  | 'closed'
  /** Closed by an administrator (4403). */
  | 'kicked'
  /** A newer socket of this device, or too many devices (4409). */
  | 'replaced'
  /** One side broke the protocol (1007, 1009, 4400). This is a defect: a `Report` says more. */
  | 'protocol';

/** A row of the list. Rows are immutable: a changed row is a new object. */
export interface Conversation extends Settings {
  readonly key: ConversationKey;
  readonly id: ConversationId;
  /** `direct` or `group`. */
  readonly kind: string;
  /** Null in a group. */
  readonly peer: (User & Presence) | null;
  /** The peer's name, or the group's title; empty if it has none. */
  readonly title: string;
  readonly avatarUrl: string | null;
  /** Null in a direct conversation. */
  readonly role: Role | null;
  readonly memberCount: number;
  /** Rises when members or their roles change: `members` then has news. */
  readonly membersVersion: number;
  /** One is no member any more. It is in no list, and nothing can be sent. */
  readonly left: boolean;
  /** Null if all chats are gone for oneself. */
  readonly lastChat: LastChat | null;
  /** 0 to 99; 100 means more. */
  readonly unread: number;
  /** An unread chat calls one by name. */
  readonly mentioned: boolean;
  /** 0 before the first read. */
  readonly readUpTo: ChatId | 0;
  readonly peerReadUpTo: ChatId | 0;
  /** The newest unsent chat. */
  readonly unsent: ChatItem | null;
}

export interface LastChat {
  readonly id: ChatId;
  readonly mine: boolean;
  readonly userName: string;
  readonly kind: string;
  /** Plain text, whatever the kind of the chat; empty once it is recalled. */
  readonly content: string;
  readonly recalled: boolean;
  /** Milliseconds since 1970. */
  readonly time: number;
}

/** A bubble. Items are immutable: a changed item is a new object with the same `key`. */
export interface ChatItem {
  /**
   * Stays the same from `pending` to `sent` and over reloads; unique within the conversation.
   * Letters, digits, `-` and `_`, beginning with a letter: it fits `wx:key` and an element's id.
   */
  readonly key: string;
  /** Null until it is sent. */
  readonly id: ChatId | null;
  readonly mine: boolean;
  readonly userId: UserId;
  readonly userName: string;
  /** `text`, `image`, `voice`, `file`, `card`, `system`, or one that is not known: `content` can be shown for each. */
  readonly kind: string;
  readonly content: string;
  readonly body: Body | null;
  /** `Draft.file` of an unsent chat; null otherwise. */
  readonly file: string | null;
  readonly recalled: boolean;
  readonly replyTo: Quote | null;
  readonly mentions: Mentions;
  /** Milliseconds since 1970: when it was committed, or until then, when it was written. */
  readonly time: number;
  /**
   * `pending`: in the outbox, or uploading. `sending`: in flight. `held`: somebody has yet to allow it. `failed`: for
   * `resend` or `discard`.
   */
  readonly status: 'pending' | 'sending' | 'held' | 'failed' | 'sent';
  /** The part of its file that is uploaded, from 0 to 1; null if none is on its way. */
  readonly progress: number | null;
  /** Why it failed: a code of the protocol; null otherwise. */
  readonly failure: string | null;
  /** With `content_rejected` words for the user, with `not_allowed` the `reason`: `blocked`, `muted` and so on. */
  readonly detail: string;
  /** Whether the peer has read this chat of one's own. */
  readonly read: boolean;
}

/** What one conversation shows. */
export interface ChatList {
  /** Oldest first: chats by id, then unsent ones, in the order of writing. */
  readonly items: readonly ChatItem[];
  /** Whether `loadOlder` would bring older chats. */
  readonly hasMore: boolean;
  /** False until the newest chats were loaded once since `open`. */
  readonly loaded: boolean;
}

/**
 * How a list differs from its state after the last `Changes`: first `removed` entries at `index` were removed
 * and `inserted` ones inserted there; then the entries at `changed` (indexes in the new list) were replaced.
 */
export interface ListChange {
  readonly index: number;
  readonly removed: number;
  readonly inserted: number;
  readonly changed: readonly number[];
}

/** What changed since the last call. */
export interface Changes {
  /** `client.connection` has changed. */
  readonly connection: boolean;
  /** How `client.conversations()` has changed. */
  readonly conversations: ListChange | null;
  /** Open conversations whose `client.chats(key)` has changed. */
  readonly chats: ReadonlyMap<ConversationKey, ChatsChange>;
  /** Conversations for which `client.isTyping` has changed. */
  readonly typing: readonly ConversationKey[];
  /** Users for whom `client.presence` has changed. */
  readonly presence: readonly UserId[];
  /** `client.me` has changed. */
  readonly me: boolean;
  /** A new session, to keep for the next start of the app. */
  readonly session: Session | null;
}

export interface ChatsChange {
  /** Null if only `hasMore` or `loaded` changed. */
  readonly items: ListChange | null;
  readonly hasMore: boolean;
  readonly loaded: boolean;
}

/** A problem for developers to see; never with a token or a content. */
export interface Report {
  readonly code:
    /** The service or a proxy sent something that this version cannot read. */
    | 'unreadable_frame'
    | 'unreadable_answer'
    /** The socket was closed with 1007, 1009 or 4400. */
    | 'protocol_close'
    /** An error of the service that belongs to no chat. */
    | 'service_error'
    /** Storage was full: cached chats were removed, the outbox kept. */
    | 'storage_evicted'
    /** Storage is full even without caches. If the cursor was not stored, more is loaded next time. */
    | 'storage_full'
    /** Too many requests were waiting, because of the limit of 5 calls a second: one was refused. */
    | 'too_many_calls';
  readonly detail: string;
}

export type SendResult =
  | { readonly ok: true; readonly key: string }
  | { readonly ok: false; readonly code: SendRefusal };

export type SendRefusal =
  /** A text that is empty, or only white space. */
  | 'blank'
  /** It would not fit into a frame. A content over the service's own limit becomes a failed item. */
  | 'too_long'
  /** 100 chats, or about 0.9 MB, are waiting. */
  | 'outbox_full'
  /** It could not be stored, so it would not survive. Nothing was sent. */
  | 'storage_full';
