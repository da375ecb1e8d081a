// What the service sends, read once: past this file a value of a type is what the type says.

import { isId } from './ids';
import type { ChatId, ConversationId, Presence, Session, User, UserId } from './types';

type Json = Readonly<Record<string, unknown>>;

/** A chat as the service knows it. `time` is `createTime` in ms since 1970. */
export interface Chat {
  readonly id: ChatId;
  readonly conversationId: ConversationId;
  readonly userId: UserId;
  readonly targetUserId: UserId;
  readonly userName: string;
  readonly targetUserName: string;
  readonly content: string;
  readonly time: number;
  readonly clientMsgId: string;
  readonly kind: string;
}

/** A row of `GET /v1/conversations`. */
export interface ConversationRow {
  readonly id: ConversationId;
  readonly peer: User;
  readonly presence: Presence;
  readonly lastChat: Chat;
  readonly unread: number;
  readonly readUpTo: ChatId | 0;
  readonly peerReadUpTo: ChatId | 0;
}

/** A page of a list, as the service ordered it. */
export interface Page<T> {
  readonly entries: readonly T[];
  readonly hasMore: boolean;
}

export type ServerFrame =
  | { readonly type: 'ready'; readonly epoch: string; readonly lastSeq: number }
  /** `chat` is null if the event is of a kind that is not known here. */
  | { readonly type: 'event'; readonly seq: number; readonly chat: Chat | null }
  | { readonly type: 'sent'; readonly seq: number; readonly clientMsgId: string; readonly chat: Chat | null }
  | { readonly type: 'read'; readonly conversationId: ConversationId; readonly userId: UserId; readonly upTo: ChatId }
  | { readonly type: 'typing'; readonly userId: UserId }
  | { readonly type: 'presence'; readonly userId: UserId; readonly presence: Presence }
  | { readonly type: 'error'; readonly code: string; readonly clientMsgId: string | null; readonly retryAfterMs: number | null }
  | { readonly type: 'reset'; readonly epoch: string; readonly lastSeq: number }
  | { readonly type: 'reconnect'; readonly afterMs: number }
  /** A `pong`, or what later versions of the service may send. */
  | { readonly type: 'other' };

/** Null for what is no frame. */
export function toFrame(text: string): ServerFrame | null {
  const json = parse(text);
  if (!isObject(json) || typeof json['type'] !== 'string') return null;
  const { type, seq, userId } = json;
  switch (type) {
    case 'ready':
    case 'reset': {
      const { epoch, lastSeq } = json;
      return typeof epoch === 'string' && isCount(lastSeq) ? { type, epoch, lastSeq } : null;
    }
    case 'event':
      // What cannot be read is passed by like a kind that is not known: asking again would not help.
      return isId(seq) ? { type, seq, chat: json['event'] === 'chat' ? toChat(json['chat']) : null } : null;
    case 'sent': {
      const { clientMsgId } = json;
      return isId(seq) && typeof clientMsgId === 'string' ? { type, seq, clientMsgId, chat: toChat(json['chat']) } : null;
    }
    case 'read': {
      const { conversationId, upTo } = json;
      return isId(conversationId) && isId(userId) && isId(upTo)
        ? { type, conversationId: conversationId as ConversationId, userId: userId as UserId, upTo: upTo as ChatId }
        : null;
    }
    case 'typing':
      return isId(userId) ? { type, userId: userId as UserId } : null;
    case 'presence':
      return isId(userId) ? { type, userId: userId as UserId, presence: toPresence(json) } : null;
    case 'error': {
      const { code, clientMsgId, retryAfterMs } = json;
      return {
        type,
        code: toText(code),
        clientMsgId: typeof clientMsgId === 'string' ? clientMsgId : null,
        retryAfterMs: isCount(retryAfterMs) ? retryAfterMs : null,
      };
    }
    case 'reconnect': {
      const { afterMs } = json;
      return { type, afterMs: isCount(afterMs) ? afterMs : 0 };
    }
    default:
      return { type: 'other' };
  }
}

export function toChat(json: unknown): Chat | null {
  if (!isObject(json)) return null;
  const { id, conversationId, userId, targetUserId, content, createTime } = json;
  const time = Date.parse(toText(createTime));
  if (!isId(id) || !isId(conversationId) || !isId(userId) || !isId(targetUserId)) return null;
  if (typeof content !== 'string' || Number.isNaN(time)) return null;
  return {
    id: id as ChatId,
    conversationId: conversationId as ConversationId,
    userId: userId as UserId,
    targetUserId: targetUserId as UserId,
    userName: toText(json['userName']),
    targetUserName: toText(json['targetUserName']),
    content,
    time,
    clientMsgId: toText(json['clientMsgId']),
    kind: toText(json['kind']),
  };
}

export function toUser(json: unknown): User | null {
  if (!isObject(json)) return null;
  const { id, name, avatarUrl } = json;
  if (!isId(id) || typeof name !== 'string') return null;
  return { id: id as UserId, name, avatarUrl: typeof avatarUrl === 'string' ? avatarUrl : null };
}

export function toSession(json: unknown): Session | null {
  if (!isObject(json)) return null;
  const { token } = json;
  const user = toUser(json['user']);
  return typeof token === 'string' && user ? { token, user } : null;
}

export function toConversation(json: unknown): ConversationRow | null {
  if (!isObject(json)) return null;
  const { id, unread, readUpTo, peerReadUpTo } = json;
  const peer = toUser(json['peer']);
  const lastChat = toChat(json['lastChat']);
  if (!isId(id) || !peer || !lastChat) return null;
  return {
    id: id as ConversationId,
    peer,
    presence: toPresence(json['peer'] as Json),
    lastChat,
    unread: isCount(unread) ? unread : 0,
    readUpTo: (isId(readUpTo) ? readUpTo : 0) as ChatId | 0,
    peerReadUpTo: (isId(peerReadUpTo) ? peerReadUpTo : 0) as ChatId | 0,
  };
}

/** The list at `key` of an answer; null if one of its entries cannot be read. */
export function toPage<T>(json: unknown, key: string, entry: (json: unknown) => T | null): Page<T> | null {
  const list = isObject(json) ? json[key] : null;
  if (!Array.isArray(list)) return null;
  const entries = list.map(entry).filter((one) => one !== null);
  return entries.length === list.length ? { entries, hasMore: (json as Json)['hasMore'] === true } : null;
}

/** The JSON of a text; undefined for what is none. */
export function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

export function isObject(json: unknown): json is Json {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}

function toPresence(json: Json): Presence {
  const lastSeenAt = Date.parse(toText(json['lastSeenAt']));
  return { online: json['online'] === true, lastSeenAt: Number.isNaN(lastSeenAt) ? null : lastSeenAt };
}

function toText(json: unknown): string {
  return typeof json === 'string' ? json : '';
}

function isCount(json: unknown): json is number {
  return Number.isSafeInteger(json) && (json as number) >= 0;
}
