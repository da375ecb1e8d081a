// The entities that the service and pages share: users, conversations, chats.

declare const brand: unique symbol;

/** A user's id: an integer from 1 to 2^53-1. */
export type UserId = number & { readonly [brand]: 'UserId' };
/** A conversation's id: an integer from 1 to 2^53-1. */
export type ConversationId = number & { readonly [brand]: 'ConversationId' };
/** A group's key: `g` and the conversation's id. */
export type GroupKey = `g${ConversationId}`;
/** Names a conversation to the client: a direct one by its peer, since it has no id before its first chat. */
export type ConversationKey = UserId | GroupKey;
/** A chat's id: it rises within a conversation, in the order in which both sides see the chats. */
export type ChatId = number & { readonly [brand]: 'ChatId' };

export interface User {
  readonly id: UserId;
  readonly name: string;
  /** Null or an absolute URL. */
  readonly avatarUrl: string | null;
}

/** The answer to a login. */
export interface Session {
  readonly token: string;
  readonly user: User;
}

export interface Presence {
  readonly online: boolean;
  /** Milliseconds since 1970; null if the user is online, or was never seen. */
  readonly lastSeenAt: number | null;
}

export type Role = 'owner' | 'admin' | 'member';

export interface Member {
  readonly user: User;
  readonly role: Role;
}

export interface MembersPage {
  readonly members: readonly Member[];
  readonly hasMore: boolean;
}

export interface BlocksPage {
  readonly blocks: readonly { readonly user: User }[];
  readonly hasMore: boolean;
}

/** What a chat of another kind than text holds: the keys of its kind, as the protocol has them. */
export interface Body {
  readonly mediaId?: string;
  readonly url?: string;
  readonly thumbUrl?: string;
  readonly width?: number;
  readonly height?: number;
  /** In bytes. */
  readonly size?: number;
  readonly contentType?: string;
  readonly durationMs?: number;
  readonly name?: string;
  readonly title?: string;
  readonly description?: string;
  readonly imageUrl?: string;
  readonly path?: string;
  readonly data?: unknown;
  /** Of a system line. */
  readonly event?: string;
  readonly actorId?: UserId;
  readonly userIds?: readonly UserId[];
  readonly names?: readonly string[];
}

/** A chat that another one quotes. */
export interface Quote {
  readonly id: ChatId;
  readonly userId: UserId;
  readonly userName: string;
  readonly kind: string;
  /** At most 100 characters; empty once it is recalled. */
  readonly content: string;
  readonly state: string | null;
}

export type Mentions = readonly UserId[] | 'all' | null;

/** What to send: `content` for a text, `body` for a card or to forward media, `file` for an upload. */
export interface Draft {
  /** `text` if absent. */
  readonly kind?: string;
  /** The words of a text. For other kinds, what is shown until the service has it: `[图片]`. */
  readonly content?: string;
  readonly body?: Body;
  /** What `Platform.upload` knows the file by. It is uploaded first, and has to outlive the app until it is sent. */
  readonly file?: string;
  /** As the page shows it: only its `id` is sent. */
  readonly replyTo?: Quote;
  readonly mentions?: Mentions;
}

/** What one keeps of a conversation, on all devices. A draft has at most 2,000 characters. */
export interface Settings {
  readonly pinned: boolean;
  readonly muted: boolean;
  readonly markedUnread: boolean;
  readonly draft: string | null;
}

/** What a user reports to those who run the service: a chat or a person. */
export interface Complaint {
  readonly chatId?: ChatId;
  readonly reportedUserId?: UserId;
  readonly reason: 'spam' | 'abuse' | 'porn' | 'fraud' | 'other';
  /** At most 500 characters. */
  readonly detail?: string;
}
