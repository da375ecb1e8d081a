// Parses and checks what the service sends, so that the rest can trust the types.

import { isId } from './ids';
import type { Row } from './saved';
import type { Body, ChatId, ConversationId, Draft, Mentions, Presence, Quote, Role, Session, Settings, User, UserId } from './types';

/** A chat as the service knows it. `createTime` is in ms since 1970. */
export interface Chat {
  readonly id: ChatId;
  readonly conversationId: ConversationId;
  readonly userId: UserId;
  /** Null in a group. */
  readonly targetUserId: UserId | null;
  readonly userName: string;
  readonly targetUserName: string;
  readonly content: string;
  readonly createTime: number;
  readonly clientMsgId: string;
  readonly kind: string;
  readonly body: Body | null;
  /** The higher one wins. */
  readonly version: number;
  /** `recalled`, or null. */
  readonly state: string | null;
  readonly replyTo: Quote | null;
  readonly mentions: Mentions;
}

/** A chat that is gone for oneself. */
export interface Deleted {
  readonly id: ChatId;
  readonly conversationId: ConversationId;
  readonly state: 'deleted';
}

/** A conversation as the service knows it. */
export interface ConversationRow extends Settings {
  readonly id: ConversationId;
  readonly kind: string;
  /** Null in a group. */
  readonly peer: (User & Presence) | null;
  readonly title: string;
  readonly avatarUrl: string | null;
  readonly role: Role | null;
  readonly memberCount: number;
  readonly membersVersion: number;
  readonly version: number;
  /** Its place in the list: the id of its newest chat. */
  readonly position: ChatId | 0;
  readonly left: boolean;
  readonly mentioned: boolean;
  readonly lastChat: Chat | null;
  readonly unread: number;
  readonly readUpTo: ChatId | 0;
  readonly peerReadUpTo: ChatId | 0;
}

/** How the wire names a conversation that one writes to. */
export type Target = { readonly targetUserId: UserId } | { readonly conversationId: ConversationId };

/** The frames that a client sends. */
export type ClientFrame =
  | { readonly type: 'hello'; readonly since?: number; readonly epoch?: string; readonly deviceId: string }
  | (Target & Pick<Draft, 'kind' | 'content' | 'body' | 'mentions'> & { readonly type: 'send'; readonly clientMsgId: string; readonly replyTo?: ChatId })
  | (Target & { readonly type: 'typing' })
  | { readonly type: 'watch'; readonly userIds: readonly UserId[] }
  | { readonly type: 'state'; readonly background: boolean }
  | { readonly type: 'ping' };

/** JSON, for the wire and for storage. */
export const toJson = JSON.stringify;

/** Reads a value; undefined if it is invalid. */
export type Reader<T> = (json: unknown) => T | undefined;

export const text: Reader<string> = (json) => (typeof json === 'string' ? json : undefined);
const flag: Reader<boolean> = (json) => json === true;
const count: Reader<number> = (json) => (json === 0 || isId(json) ? json : undefined);

/** An id of any kind: `never` fits each of their types. */
const id = ((json) => (isId(json) ? json : undefined)) as Reader<never>;

/** A date's text on the wire, a number in storage. */
const time: Reader<number> = (json) => +new Date(json as string) || undefined;

/** Uses `otherwise` if a value is absent or invalid. */
const or = <T, U>(read: Reader<T>, otherwise: U): Reader<T | U> => (json) => read(json) ?? otherwise;

type Readers<T> = { readonly [K in keyof T]: Reader<T[K]> };

/** An object with these keys, all valid; or with those of them that it has. */
const shape = <T extends object>(readers: Readers<T>, partial?: boolean): Reader<T> => (json) => {
  const made: Partial<T> = {};
  for (const key in readers) {
    const given = field(json, key);
    const value = partial && given === undefined ? given : readers[key](given);
    if (value !== undefined) made[key] = value;
    else if (!partial) return undefined;
  }
  return made as T;
};

/** A list without its invalid entries: a newer service may send kinds that this client does not know. */
const list = <T>(read: Reader<T>): Reader<readonly T[]> => (json) =>
  Array.isArray(json) ? json.map(read).filter((entry): entry is T => entry !== undefined) : undefined;

/** Something that passes through to pages, or null. */
const any = ((json) => json ?? null) as (json: unknown) => never;

const name = or(text, '');
const word = or(text, null);
const some = or(count, 0);
const mark: Reader<ChatId | 0> = or(id, 0);
const person = { id: id, name: text, avatarUrl: word };
const presence = { online: flag, lastSeenAt: or(time, null) };

const toChat = shape<Chat>({
  id,
  conversationId: id,
  userId: id,
  targetUserId: or(id, null),
  userName: name,
  targetUserName: name,
  content: text,
  createTime: time,
  clientMsgId: name,
  kind: name,
  body: any,
  version: some,
  state: word,
  replyTo: any,
  mentions: any,
});
const toDeleted = shape<Deleted>({
  id,
  conversationId: id,
  state: (json) => (json === 'deleted' ? json : undefined),
});
const chat = or(toChat, null);

export const toUser = shape<User>(person);
export const toSession = shape<Session>({ token: text, user: toUser });
const row: Readers<ConversationRow> = {
  id,
  kind: or(text, 'direct'),
  peer: or(shape({ ...person, ...presence }), null),
  title: name,
  avatarUrl: word,
  role: any,
  memberCount: some,
  membersVersion: some,
  version: some,
  position: mark,
  left: flag,
  pinned: flag,
  muted: flag,
  markedUnread: flag,
  draft: word,
  mentioned: flag,
  lastChat: chat,
  unread: some,
  readUpTo: mark,
  peerReadUpTo: mark,
};
const own = { hiddenUpTo: mark, clearedUpTo: mark };
const toConversation = shape(row);
const rows = list(toConversation);
export interface Page {
  readonly conversations: readonly ConversationRow[];
  readonly pinned: readonly ConversationRow[];
  readonly hasMore: boolean;
  readonly unreadTotal: number;
}
export const toConversations = shape<Page>({ conversations: rows, pinned: or(rows, []), hasMore: flag, unreadTotal: some });
/** A conversation, as a page of its own. */
export const toOne: Reader<Page> = (json) => toConversation(json) && toConversations({ conversations: [json] });
export const toChats = shape({ chats: list(toChat), hasMore: flag, version: some });
export const toUsers = shape({ users: list(toUser) });
export const toMedia = shape({ mediaId: text });

/** A row with what is given, and defaults for what the version before did not store. */
export const toRow = shape<Row>({ ...row, ...own, countedTo: mark, since: or(list(id), []), stamp: some }) as (json: Partial<Row>) => Row;

/** What an event says of a conversation. */
export type ConversationPart = Partial<Omit<Row, 'countedTo' | 'since' | 'stamp'>>;
const toPart: Reader<ConversationPart> = shape({ ...row, ...own }, true);

const place = shape({ epoch: text, lastSeq: count });

interface Typing {
  readonly userId: UserId;
  /** Of a group. */
  readonly conversationId: ConversationId | null;
}

/** The frames that this client handles, by type. */
const FRAMES = {
  ready: place,
  reset: place,
  // An unreadable chat is ignored like an unknown kind: asking again would not help.
  event: shape({
    seq: id,
    event: name,
    chat: or<Chat | Deleted, null>((json) => toChat(json) ?? toDeleted(json), null),
    conversation: or(toPart, null),
    clientMsgId: name,
    code: name,
    detail: name,
  }),
  sent: shape({ seq: id, clientMsgId: text, chat }),
  held: shape({ clientMsgId: text }),
  read: shape({ conversationId: id, userId: id, upTo: id }),
  typing: shape<Typing>({ userId: id, conversationId: or(id, null) }),
  presence: shape({ userId: id, ...presence }),
  error: shape({ code: name, clientMsgId: word, retryAfterMs: or(count, Infinity), detail: name, reason: word }),
  reconnect: shape({ afterMs: some }),
};

export type Frames = { [T in keyof typeof FRAMES]: NonNullable<ReturnType<(typeof FRAMES)[T]>> };

/** The handler of each frame. */
export type Handlers = { readonly [T in keyof Frames]: (frame: Frames[T]) => void };

/** Undefined if it is not a frame. */
export const toFrame = (line: string): { readonly type: string; readonly frame: object } | undefined => {
  const json = parse(line);
  const type = text(field(json, 'type'));
  if (!type) return;
  // A `pong`, or a frame of a later version, has nothing to read.
  const frame = Object.keys(FRAMES).includes(type) ? FRAMES[type as keyof Frames](json) : {};
  return frame && { type, frame };
};

/** The value at a key; undefined if this is not an object. */
export const field = (json: unknown, key: string): unknown => (json as Readonly<Record<string, unknown>> | null | undefined)?.[key];

/** The JSON of a text; undefined if it is not JSON. */
export const parse = (line: string): unknown => {
  try {
    return JSON.parse(line) as unknown;
  } catch {
    return undefined;
  }
};
