// The public types of the client core: entities, what is passed in, what pages read.

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

// ---- Entities of the service

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

// ---- What is passed in

/** What the client needs from its platform: sockets, HTTP, storage, time and randomness. */
export interface Platform {
  /**
   * Opens a WebSocket. Throws only for arguments that can never work. Handlers are called
   * asynchronously, after `connect` has returned; `closed` exactly once, whether it ever opened or not.
   */
  connect(url: string, protocols: readonly string[], handlers: SocketHandlers): Socket;
  /** Resolves for every status; rejects when there was no answer within `timeoutMs`. */
  request(request: HttpRequest): Promise<HttpResponse>;
  /**
   * Sends a file as `multipart/form-data`, with `fields` before it. Resolves for every status, with 404 if the file is
   * gone; rejects when there was no answer, or after `cancel`.
   */
  upload(request: UploadRequest): { readonly done: Promise<HttpResponse>; readonly cancel: () => void };
  readonly storage: Storage;
  readonly clock: Clock;
  /** A number from 0 to 1, 1 excluded: `Math.random`. It is used for jitter and keys, not for secrets. */
  random(): number;
}

export interface Socket {
  /** Text. Never throws: a socket that cannot send calls `closed` sooner or later. */
  send(text: string): void;
  close(code: number, reason: string): void;
}

export interface SocketHandlers {
  opened(): void;
  message(text: string): void;
  closed(code: number, reason: string): void;
}

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | ArrayBuffer;
  readonly timeoutMs: number;
}

export interface UploadRequest extends HttpRequest {
  /** `Draft.file`, for the form's field `file`. */
  readonly file: string;
  readonly fields: Readonly<Record<string, string>>;
  /** Call it with the part that is sent, from 0 to 1. */
  readonly progress: (part: number) => void;
}

export interface HttpResponse {
  readonly status: number;
  /** Names in upper or lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/**
 * Keys and texts that survive the app being killed. Only one client at a time may use an account's keys: give
 * each browser tab, each simulated phone, a storage (or a prefix) of its own.
 */
export interface Storage {
  get(key: string): string | undefined;
  /** Throws when there is no room, and then keeps the old value. */
  set(key: string, value: string): void;
  remove(key: string): void;
}

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Calls `run` once after `delayMs`, soon if that is not above 0; the result cancels it. */
  after(delayMs: number, run: () => void): () => void;
}

export interface ClientOptions {
  /** `http://127.0.0.1:8080` or `https://chat.example.com`: no path, no slash at the end. */
  readonly server: string;
  readonly platform: Platform;
  /** The client's account. Another account needs another client, which has its own storage keys. */
  readonly session: Session;
  /**
   * Called when the session is no longer valid. Resolves to a new one, or to null when the user must
   * sign in by hand: the client then stops with `signed_out`. A rejection is tried again after backoff.
   */
  login(): Promise<Session | null>;
  /** 1 to 64 printable characters; if absent, made once and stored. */
  readonly deviceId?: string;
  /** `hide` keeps the socket, and tells the service that nobody looks: for browsers, which do not stop scripts. */
  readonly staysConnected?: boolean;
}

// ---- What pages read

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

/** What a user reports to those who run the service: a chat or a person. */
export interface Complaint {
  readonly chatId?: ChatId;
  readonly reportedUserId?: UserId;
  readonly reason: 'spam' | 'abuse' | 'porn' | 'fraud' | 'other';
  /** At most 500 characters. */
  readonly detail?: string;
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

// ---- The client

/**
 * One account on one device. It keeps a socket open, resumes the timeline, and holds what pages show.
 * Nothing here throws because of the network. Reads are cheap: call them while rendering.
 */
export interface ImClient {
  // Life
  /** Connects, and stays connected. Also after `stopped`. */
  start(): void;
  /** Disconnects and stores the state. `start` resumes. */
  stop(): void;
  /** The app came to the front (`onShow`): resumes at once. */
  show(): void;
  /** The app went to the back (`onHide`): closes the socket, unless it `staysConnected`, and stores the state. */
  hide(): void;
  /** `onNetworkStatusChange`. The client assumes a network until this says otherwise. */
  network(connected: boolean): void;
  /**
   * Stops, revokes the session, and removes this account's caches. `unsent` says what to do with unsent chats:
   * `keep` them for the next sign-in, or `discard` them.
   */
  signOut(unsent: 'keep' | 'discard'): Promise<void>;

  // State
  readonly me: User;
  readonly connection: Connection;
  /** `listener` is called after changes, never from within a call to the client. The result unsubscribes. */
  subscribe(listener: (changes: Changes) => void): () => void;
  /** The result unsubscribes. */
  onReport(listener: (report: Report) => void): () => void;

  // Conversations
  /** Pinned ones first, then newest first. Hidden ones, and those that one has left, are not in it. */
  conversations(): readonly Conversation[];
  conversation(key: ConversationKey): Conversation | null;
  /** Whether `loadMoreConversations` would bring older conversations. */
  readonly hasMoreConversations: boolean;
  /** False until the list was loaded once; before that, the stored list is shown. */
  readonly conversationsLoaded: boolean;
  /** Unread chats of all conversations that are neither muted nor hidden: 0 to 99; 100 means more. */
  readonly unreadTotal: number;
  /** Pull to refresh. Rejects with `ImError`. */
  refreshConversations(): Promise<void>;
  /** Rejects with `ImError`. */
  loadMoreConversations(): Promise<void>;

  // One conversation
  /** Keeps this conversation's chats up to date until `close`, which has to be called as often as `open`. */
  open(key: ConversationKey): void;
  close(key: ConversationKey): void;
  /** Of an open conversation; empty if it is not open. */
  chats(key: ConversationKey): ChatList;
  /** Loads 50 chats before the oldest. Resolves at once if there are none, or a call is running. Rejects with `ImError`. */
  loadOlder(key: ConversationKey): Promise<void>;
  /**
   * Stores the chat, then sends it, with retries for as long as it takes. Content is never trimmed. A file is uploaded
   * first; chats of the same conversation wait for it.
   */
  send(key: ConversationKey, what: string | Draft): SendResult;
  /** Sends the failed item of this `ChatItem.key` again, as the newest. False if there is no such item. */
  resend(key: ConversationKey, item: string): boolean;
  /**
   * Removes an unsent item, and cancels its upload. False if there is no such item, or it is in flight. One that was in
   * flight before, or is held, may yet be sent.
   */
  discard(key: ConversationKey, item: string): boolean;
  /** The user has seen all chats that are shown. The read mark is sent soon. */
  markRead(key: ConversationKey): void;
  /** Call it on each input: it is sent at most every 2.5 s. */
  typing(key: ConversationKey): void;
  isTyping(key: ConversationKey): boolean;

  // What is done to chats and conversations. All reject with `ImError`; what they change comes with `Changes`.
  /** Takes a chat back for everybody: `too_late`, `forbidden`. */
  recall(id: ChatId): Promise<void>;
  /** Deletes a chat for oneself, on all devices. */
  remove(id: ChatId): Promise<void>;
  /** Saves one's settings of a conversation: what is absent stays. `too_many_pinned`. */
  set(key: ConversationKey, settings: Partial<Settings>): Promise<void>;
  /** Takes a conversation out of the list until its next chat. */
  hideConversation(key: ConversationKey): Promise<void>;
  /** Deletes all chats of a conversation for oneself. */
  clear(key: ConversationKey): Promise<void>;
  report(what: Complaint): Promise<void>;

  // Groups. An action that one's role does not allow is `forbidden`.
  /** `id` makes a repeat return the same group: 1 to 64 printable characters. `too_many_members`. */
  createGroup(group: { readonly title?: string; readonly userIds: readonly UserId[]; readonly id?: string }): Promise<GroupKey>;
  setTitle(key: GroupKey, title: string): Promise<void>;
  /** 100 members after this one: the owner and admins first. */
  members(key: GroupKey, after?: UserId): Promise<MembersPage>;
  addMembers(key: GroupKey, userIds: readonly UserId[]): Promise<void>;
  /** Removes somebody; oneself leaves. */
  removeMember(key: GroupKey, userId: UserId): Promise<void>;
  /** `owner` hands the group over. */
  setRole(key: GroupKey, userId: UserId, role: Role): Promise<void>;

  // People
  /** The people whose presence is on the screen, at most 100; replaces the last list. */
  watch(userIds: readonly UserId[]): void;
  /** Null if it is not known. */
  presence(userId: UserId): Presence | null;
  /** Rejects with `ImError`. */
  findUsers(prefix: string): Promise<readonly User[]>;
  /** Rejects with `ImError`. */
  user(userId: UserId): Promise<User>;
  /** Rejects with `ImError`. */
  block(userId: UserId): Promise<void>;
  /** Rejects with `ImError`. */
  unblock(userId: UserId): Promise<void>;
  /** 100 blocked people after this one, by id. Rejects with `ImError`. */
  blocks(after?: UserId): Promise<BlocksPage>;
  /** Rejects with `ImError`. */
  rename(name: string): Promise<User>;
  /** A PNG, JPEG or WebP of at most 256 KiB. Rejects with `ImError`. */
  setAvatar(image: ArrayBuffer, contentType: string): Promise<User>;
}
