// What pages show, as of the last time they were told, and how it differs from the time before.

import { unreadOf, type Row } from './conversations';
import type { Model } from './model';
import { itemKey, toItem, type Outgoing } from './outbox';
import type { ChatItem, ChatList, ChatsChange, Changes, Conversation, ListChange, Presence, UserId } from './types';
import type { Chat } from './wire';

const UNKNOWN: Presence = { online: false, lastSeenAt: null };
const NOTHING: ChatList = { items: [], hasMore: false, loaded: false };

/** What a row was made of, beside the row itself, and what it is shown as. */
interface Shown {
  readonly presence: Presence;
  readonly unsent: ChatItem | null;
  readonly conversation: Conversation;
}

export function createView(model: Model) {
  const { me, conversations, outbox, presences } = model;
  const lists = new Map<UserId, ChatList>();
  // Made again only when they differ, so that pages can compare by identity.
  const items = new WeakMap<Chat | Outgoing, ChatItem>();
  const rows = new WeakMap<Row, Shown>();

  const itemOf = (chat: Chat, readUpTo: number): ChatItem => {
    const { id, content, createTime, clientMsgId } = chat;
    const mine = chat.userId === me;
    const read = mine && id <= readUpTo;
    const made = items.get(chat);
    if (made?.read === read) return made;
    const key = itemKey(mine, mine ? clientMsgId : id);
    const item: ChatItem = { key, id, mine, content, time: createTime, status: 'sent', failure: null, read };
    items.set(chat, item);
    return item;
  };

  const unsentItem = (entry: Outgoing): ChatItem => {
    const item = toItem(entry, outbox.sending() === entry);
    const made = items.get(entry);
    if (made?.status === item.status) return made;
    items.set(entry, item);
    return item;
  };

  const listOf = (peerId: UserId): ChatList => {
    const log = model.log(peerId);
    if (!log) return NOTHING;
    const readUpTo = conversations.rows.get(peerId)?.peerReadUpTo ?? 0;
    const chats = log.all().filter(({ kind }) => kind === 'text');
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
    const made = rows.get(row);
    if (made?.presence === presence && made.unsent === unsent) return made.conversation;
    const conversation: Conversation = {
      id,
      peer: { ...peer, ...presence },
      lastChat: {
        id: lastChat.id,
        mine: lastChat.userId === me,
        content: lastChat.kind === 'text' ? lastChat.content : null,
        time: lastChat.createTime,
      },
      unread: unreadOf(row),
      readUpTo,
      peerReadUpTo,
      unsent,
    };
    rows.set(row, { presence, unsent, conversation });
    return conversation;
  };

  const allConversations = (): readonly Conversation[] => {
    const unsent = new Map<UserId, ChatItem>();
    for (const entry of outbox.all()) unsent.set(entry.peerId, unsentItem(entry));
    return conversations.sorted().map((row) => conversationOf(row, unsent.get(row.peer.id) ?? null));
  };

  let list = allConversations();

  return {
    conversations: () => list,
    chats: (peerId: UserId) => lists.get(peerId) ?? NOTHING,

    open: (peerId: UserId): void => {
      if (!lists.has(peerId)) lists.set(peerId, listOf(peerId));
    },

    close: (peerId: UserId): void => {
      lists.delete(peerId);
    },

    /** Brings what is shown up to date. */
    take: (): Changes => {
      const dirty = model.takeDirty();
      const old = list;
      if (dirty.list) list = allConversations();
      const chats = new Map<UserId, ChatsChange>();
      for (const peerId of dirty.chats) {
        const before = lists.get(peerId);
        if (!before) continue;
        const now = listOf(peerId);
        const change = {
          items: difference(before.items, now.items, ({ key }) => key),
          hasMore: before.hasMore !== now.hasMore,
          loaded: before.loaded !== now.loaded,
        };
        if (change.items || change.hasMore || change.loaded) chats.set(peerId, change);
        lists.set(peerId, now);
      }
      return {
        connection: dirty.connection,
        conversations: difference(old, list, ({ peer }) => peer.id),
        chats,
        typing: [...dirty.typing],
        presence: [...dirty.presence],
        me: dirty.me,
        session: dirty.me ? model.state.session : null,
      };
    },
  };
}

/** How `next` differs from `old`: what is between the ends that they share was replaced. */
function difference<T>(old: readonly T[], next: readonly T[], key: (entry: T) => unknown): ListChange | null {
  const most = Math.min(old.length, next.length);
  const shift = next.length - old.length;
  const same = (at: number, before: number) => {
    const [a, b] = [old[before], next[at]];
    return a !== undefined && b !== undefined && key(a) === key(b);
  };
  let index = 0;
  while (same(index, index)) index += 1;
  let end = next.length;
  while (next.length - end < most - index && same(end - 1, end - 1 - shift)) end -= 1;
  const changed = next.flatMap((entry, at) => {
    const before = at < index ? at : at - shift;
    return (at < index || at >= end) && old[before] !== entry ? [at] : [];
  });
  const inserted = end - index;
  const removed = inserted - shift;
  return removed + inserted + changed.length > 0 ? { index, removed, inserted, changed } : null;
}
