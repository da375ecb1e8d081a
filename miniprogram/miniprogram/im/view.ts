// What pages show, as of the last `Changes`, and how it differs from the one before.

import { keyOf } from './keys';
import { MOST_UNREAD } from './limits';
import type { Model } from './model';
import { itemKey } from './outbox';
import type { Outgoing, Row } from './saved';
import type { ChatItem, ChatList, ChatsChange, Changes, Conversation, ConversationKey, ListChange, Presence } from './types';
import type { Chat } from './wire';

const UNKNOWN: Presence = { online: false, lastSeenAt: null };
const NOTHING: ChatList = { items: [], hasMore: false, loaded: false };
/** The defaults of a bubble. */
const SENT = { id: null, mine: true, status: 'sent', failure: null, read: false } as const;

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
    const { id, content, createTime, clientMsgId } = chat;
    const mine = chat.userId === me;
    const read = mine && id <= readUpTo;
    const key = mine ? clientMsgId : id;
    return show(chat, [read], () => ({ ...SENT, key: itemKey(mine, key), id, mine, content, time: createTime, read }));
  };

  const unsentItem = (entry: Outgoing): ChatItem => {
    const { id, content, time, failure } = entry;
    const status = failure !== null ? 'failed' : outbox.sending() === entry ? 'sending' : 'pending';
    return show(entry, [status], () => ({ ...SENT, key: itemKey(true, id), content, time, status, failure }));
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
    const { id, peer, lastChat, readUpTo, peerReadUpTo } = row;
    const presence = presences.get(peer.id) ?? UNKNOWN;
    return show(row, [presence, unsent], () => ({
      key: keyOf(row),
      id,
      peer: { ...peer, ...presence },
      lastChat: {
        id: lastChat.id,
        mine: lastChat.userId === me,
        content: lastChat.content,
        time: lastChat.createTime,
      },
      unread: Math.min(row.unread + row.since.length, MOST_UNREAD),
      readUpTo,
      peerReadUpTo,
      unsent,
    }));
  };

  const allConversations = (): readonly Conversation[] => {
    const unsent = new Map<ConversationKey, ChatItem>();
    for (const entry of outbox.all()) unsent.set(entry.peerId, unsentItem(entry));
    return list.sorted().map((row) => conversationOf(row, unsent.get(keyOf(row)) ?? null));
  };

  let shownList = allConversations();

  return {
    conversations: () => shownList,
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
        connection: dirty.connection,
        conversations: difference(before, shownList),
        chats,
        typing: [...dirty.typing],
        presence: [...dirty.presence],
        me: dirty.me,
        session: dirty.me ? model.state.session : null,
      };
    },
  };
};

/** How `next` differs from `old`: the entries between their common ends were replaced. */
const difference = <T extends { readonly key: unknown }>(old: readonly T[], next: readonly T[]): ListChange | null => {
  const was = old.map(({ key }) => key);
  const is = next.map(({ key }) => key);
  const shift = is.length - was.length;
  let index = 0;
  while (index < is.length && is[index] === was[index]) index += 1;
  let end = is.length;
  while (end > index && end - shift > index && is[end - 1] === was[end - 1 - shift]) end -= 1;
  const changed = next.flatMap((entry, at) => {
    const before = old[at < index ? at : at - shift];
    return (at < index || at >= end) && before !== entry ? [at] : [];
  });
  const inserted = end - index;
  const removed = inserted - shift;
  return removed || inserted || changed.length ? { index, removed, inserted, changed } : null;
};
