// Parses and checks what the service sends, so that the rest can trust the types.

import { isId } from './ids';
import type { ChatId, ConversationId, Presence, Session, User, UserId } from './types';

/** A chat as the service knows it. `createTime` is in ms since 1970. */
export interface Chat {
  readonly id: ChatId;
  readonly conversationId: ConversationId;
  readonly userId: UserId;
  readonly targetUserId: UserId;
  readonly userName: string;
  readonly targetUserName: string;
  readonly content: string;
  readonly createTime: number;
  readonly clientMsgId: string;
  readonly kind: string;
}

/** A row of `GET /v1/conversations`. */
export interface ConversationRow {
  readonly id: ConversationId;
  readonly peer: User & Presence;
  readonly lastChat: Chat;
  readonly unread: number;
  readonly readUpTo: ChatId | 0;
  readonly peerReadUpTo: ChatId | 0;
}

/** The frames that a client sends. */
export type ClientFrame =
  | { readonly type: 'hello'; readonly since?: number; readonly epoch?: string; readonly deviceId: string }
  | { readonly type: 'send'; readonly clientMsgId: string; readonly targetUserId: UserId; readonly content: string }
  | { readonly type: 'read'; readonly conversationId: ConversationId; readonly upTo: ChatId }
  | { readonly type: 'typing'; readonly targetUserId: UserId }
  | { readonly type: 'watch'; readonly userIds: readonly UserId[] }
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

const time: Reader<number> = (json) => {
  const ms = Date.parse(text(json) ?? '');
  return Number.isNaN(ms) ? undefined : ms;
};

/** Uses `otherwise` if a value is absent or invalid. */
const or = <T, U>(read: Reader<T>, otherwise: U): Reader<T | U> => (json) => read(json) ?? otherwise;

/** An object with these keys, all valid. */
const shape = <T extends object>(readers: { readonly [K in keyof T]: Reader<T[K]> }): Reader<T> => (json) => {
  const made: Partial<T> = {};
  for (const key in readers) {
    const value = readers[key](field(json, key));
    if (value === undefined) return undefined;
    made[key] = value;
  }
  return made as T;
};

/** A list without its invalid entries: a newer service may send kinds that this client does not know. */
const list = <T>(read: Reader<T>): Reader<readonly T[]> => (json) =>
  Array.isArray(json) ? json.map(read).filter((entry): entry is T => entry !== undefined) : undefined;

const name = or(text, '');
const word = or(text, null);
const mark: Reader<ChatId | 0> = or(id, 0);
const person = { id: id, name: text, avatarUrl: word };
const presence = { online: flag, lastSeenAt: or(time, null) };

const toChat = shape<Chat>({
  id,
  conversationId: id,
  userId: id,
  targetUserId: id,
  userName: name,
  targetUserName: name,
  content: text,
  createTime: time,
  clientMsgId: name,
  kind: name,
});
export const toUser = shape<User>(person);
export const toSession = shape<Session>({ token: text, user: toUser });
const row = shape<ConversationRow>({
  id,
  peer: shape({ ...person, ...presence }),
  lastChat: toChat,
  unread: or(count, 0),
  readUpTo: mark,
  peerReadUpTo: mark,
});
export const toConversations = shape({ conversations: list(row), hasMore: flag });
export const toChats = shape({ chats: list(toChat), hasMore: flag });
export const toUsers = shape({ users: list(toUser) });

const chat = or(toChat, null);
const place = shape({ epoch: text, lastSeq: count });

/** The frames that this client handles, by type. */
const FRAMES = {
  ready: place,
  reset: place,
  // An unreadable chat is ignored like an unknown kind: asking again would not help.
  event: shape({ seq: id, event: name, chat }),
  sent: shape({ seq: id, clientMsgId: text, chat }),
  read: shape({ conversationId: id, userId: id, upTo: id }),
  typing: shape({ userId: id }),
  presence: shape({ userId: id, ...presence }),
  error: shape({ code: name, clientMsgId: word, retryAfterMs: or(count, Infinity) }),
  reconnect: shape({ afterMs: or(count, 0) }),
};

type Frames = { [T in keyof typeof FRAMES]: NonNullable<ReturnType<(typeof FRAMES)[T]>> };

/** The handler of each frame. */
export type Handlers = { readonly [T in keyof Frames]: (frame: Frames[T]) => void };

/** Undefined if it is not a frame. */
export const toFrame = (line: string): { readonly type: string; readonly frame: object } | undefined => {
  const json = parse(line);
  const type = text(field(json, 'type'));
  // A `pong`, or a frame of a later version.
  if (type && !Object.keys(FRAMES).includes(type)) return { type, frame: {} };
  const frame = type && FRAMES[type as keyof Frames](json);
  return frame ? { type, frame } : undefined;
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
