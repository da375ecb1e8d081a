// What pages show, as of the last `Changes`, and how it differs from the one before.

import { unreadOf } from './conversations';
import { keyOf } from './keys';
import type { Model } from './model';
import { itemKey } from './outbox';
import { TEXT, type Outgoing, type Row } from './saved';
import type { Changes, ChatItem, ChatList, ChatsChange, Conversation, ListChange } from './shown';
import type { ConversationKey, Presence } from './types';
import type { Chat } from './wire';

const UNKNOWN: Presence = { online: false, lastSeenAt: null };
const NOTHING: ChatList = { items: [], hasMore: false, loaded: false };
/** The defaults of a bubble. */
const SENT = { ...TEXT, mine: true, status: 'sent', progress: null, read: false, recalled: false } as const;

export const createView = (model: Model) => {
  const { me, list, outbox, presences } = model;
  const lists = new Map<ConversationKey, ChatList>();
  const shown = new WeakMap<object, { readonly parts: readonly unknown[]; readonly made: unknown }>();

  /** What is shown of `of`: made again only when one of the parts changes, so that pages can compare by identity. */
  const show = <T>(of: object, parts: readonly unknown[], make: () => T): T => {
    const before = shown.get(of);
    if (before?.parts.every((part, at) => part === parts[at])) return before.made as T;
    const made = make();
    shown.set(of, { parts, made });
    return made;
  };

  const itemOf = (chat: Chat, readUpTo: number): ChatItem => {
    const { id, state, createTime, clientMsgId } = chat;
    const mine = chat.userId === me;
    const read = mine && id <= readUpTo;
    const key = itemKey(mine, mine ? clientMsgId : id);
    return show(chat, [read], () => ({ ...SENT, ...chat, key, mine, recalled: !!state, time: createTime, read }));
  };

  const unsentItem = (entry: Outgoing): ChatItem => {
    const { upload, session } = model.state;
    const { id, failure, held } = entry;
    const status = failure !== null ? 'failed' : held ? 'held' : outbox.sending() === entry ? 'sending' : 'pending';
    const progress = upload?.id === id ? upload.progress : null;
    return show(entry, [status, progress], () => ({
      ...SENT,
      ...entry,
      key: itemKey(true, id),
      id: null,
      userId: me,
      userName: session.user.name,
      status,
      progress,
    }));
  };

  const listOf = (key: ConversationKey): ChatList => {
    const log = model.log(key);
    if (!log) return NOTHING;
    const readUpTo = list.rows.get(key)?.peerReadUpTo ?? 0;
    const chats = log.all();
    const waiting = outbox.all().filter((entry) => entry.peerId === key);
    return {
      items: [...chats.map((chat) => itemOf(chat, readUpTo)), ...waiting.map(unsentItem)],
      hasMore: log.hasMore(),
      loaded: log.loaded(),
    };
  };

  const conversationOf = (row: Row, unsent: ChatItem | null): Conversation => {
    const { peer, lastChat } = row;
    const presence = (peer && presences.get(peer.id)) ?? UNKNOWN;
    return show(row, [presence, unsent], () => ({
      ...row,
      key: keyOf(row),
      peer: peer && { ...peer, ...presence },
      title: peer ? peer.name : row.title,
      avatarUrl: peer ? peer.avatarUrl : row.avatarUrl,
      lastChat: lastChat && { ...lastChat, mine: lastChat.userId === me, recalled: !!lastChat.state, time: lastChat.createTime },
      unread: unreadOf(row),
      unsent,
    }));
  };

  /** Those of the list, or one that may not be in it. */
  const conversations = (rows: readonly Row[]): readonly Conversation[] => {
    const unsent = new Map<ConversationKey, ChatItem>();
    for (const entry of outbox.all()) unsent.set(entry.peerId, unsentItem(entry));
    return rows.map((row) => conversationOf(row, unsent.get(keyOf(row)) ?? null));
  };
  const allConversations = () => conversations(list.sorted());

  let shownList = allConversations();

  return {
    conversations: () => shownList,
    conversation: (key: ConversationKey): Conversation | null => {
      const row = list.rows.get(key);
      return (row && conversations([row])[0]) ?? null;
    },
    chats: (key: ConversationKey) => lists.get(key) ?? NOTHING,

    open: (key: ConversationKey): void => {
      if (!lists.has(key)) lists.set(key, listOf(key));
    },

    close: (key: ConversationKey) => lists.delete(key),

    /** Updates what is shown. */
    take: (): Changes => {
      const dirty = model.takeDirty();
      const before = shownList;
      if (dirty.list) shownList = allConversations();
      const chats = new Map<ConversationKey, ChatsChange>();
      for (const key of dirty.chats) {
        const old = lists.get(key);
        if (!old) continue;
        const now = listOf(key);
        const change = {
          items: difference(old.items, now.items),
          hasMore: old.hasMore !== now.hasMore,
          loaded: old.loaded !== now.loaded,
        };
        if (change.items || change.hasMore || change.loaded) chats.set(key, change);
        lists.set(key, now);
      }
      return {
        ...dirty,
        conversations: difference(before, shownList),
        chats,
        typing: [...dirty.typing],
        presence: [...dirty.presence],
        session: dirty.me ? model.state.session : null,
      };
    },
  };
};

/** How `next` differs from `old`: the entries between their common ends were replaced. */
const difference = <T extends { readonly key: unknown }>(old: readonly T[], next: readonly T[]): ListChange | null => {
  const shift = next.length - old.length;
  const same = (at: number, before: number): boolean => next[at]?.key === old[before]?.key;
  let index = 0;
  while (index < next.length && same(index, index)) index += 1;
  let end = next.length;
  while (end > index && end - shift > index && same(end - 1, end - 1 - shift)) end -= 1;
  const changed = next.flatMap((entry, at) => {
    const before = old[at < index ? at : at - shift];
    return (at < index || at >= end) && before !== entry ? [at] : [];
  });
  const inserted = end - index;
  const removed = inserted - shift;
  return removed || inserted || changed.length ? { index, removed, inserted, changed } : null;
};
