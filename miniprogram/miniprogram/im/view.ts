// What pages show, as of the last time they were told, and how it differs from the time before.

import { MOST_UNREAD } from './limits';
import type { Model } from './model';
import { itemKey } from './outbox';
import type { Outgoing, Row } from './saved';
import type { ChatItem, ChatList, ChatsChange, Changes, Conversation, ListChange, Presence, UserId } from './types';
import type { Chat } from './wire';

const UNKNOWN: Presence = { online: false, lastSeenAt: null };
const NOTHING: ChatList = { items: [], hasMore: false, loaded: false };
/** What bubbles have in common, if nothing else is known of them. */
const SENT = { id: null, mine: true, status: 'sent', failure: null, read: false } as const;

export const createView = (model: Model) => {
  const { me, list, outbox, presences } = model;
  const lists = new Map<UserId, ChatList>();
  const shown = new WeakMap<object, { readonly parts: readonly unknown[]; readonly made: unknown }>();

  /** What is shown of `of`: made again only when one of the parts differs, so that pages can compare by identity. */
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

  const listOf = (peerId: UserId): ChatList => {
    const log = model.log(peerId);
    if (!log) return NOTHING;
    const readUpTo = list.rows.get(peerId)?.peerReadUpTo ?? 0;
    const chats = log.all();
    const waiting = outbox.all().filter((entry) => entry.peerId === peerId);
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
    const unsent = new Map<UserId, ChatItem>();
    for (const entry of outbox.all()) unsent.set(entry.peerId, unsentItem(entry));
    return list.sorted().map((row) => conversationOf(row, unsent.get(row.peer.id) ?? null));
  };

  let shownList = allConversations();

  return {
    conversations: () => shownList,
    chats: (peerId: UserId) => lists.get(peerId) ?? NOTHING,

    open: (peerId: UserId): void => {
      if (!lists.has(peerId)) lists.set(peerId, listOf(peerId));
    },

    close: (peerId: UserId) => lists.delete(peerId),

    /** Brings what is shown up to date. */
    take: (): Changes => {
      const dirty = model.takeDirty();
      const before = shownList;
      if (dirty.list) shownList = allConversations();
      const chats = new Map<UserId, ChatsChange>();
      for (const peerId of dirty.chats) {
        const old = lists.get(peerId);
        if (!old) continue;
        const now = listOf(peerId);
        const change = {
          items: difference(old.items, now.items, ({ key }) => key),
          hasMore: old.hasMore !== now.hasMore,
          loaded: old.loaded !== now.loaded,
        };
        if (change.items || change.hasMore || change.loaded) chats.set(peerId, change);
        lists.set(peerId, now);
      }
      return {
        connection: dirty.connection,
        conversations: difference(before, shownList, ({ peer }) => peer.id),
        chats,
        typing: [...dirty.typing],
        presence: [...dirty.presence],
        me: dirty.me,
        session: dirty.me ? model.state.session : null,
      };
    },
  };
};

/** How `next` differs from `old`: what is between the ends that they share was replaced. */
const difference = <T>(old: readonly T[], next: readonly T[], key: (entry: T) => unknown): ListChange | null => {
  const was = old.map(key);
  const is = next.map(key);
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
