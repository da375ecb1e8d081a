// What pages show, as of the last time they were told, and how it differs from the time before.

import { unreadOf, type Row } from './conversations';
import { itemKey, toItem, type Outgoing } from './outbox';
import type { ChatItem, ChatList, ChatsChange, Changes, Conversation, ListChange, Presence, Session, UserId } from './types';
import type { Model } from './model';
import type { Chat } from './wire';

const UNKNOWN: Presence = { online: false, lastSeenAt: null };
const NOTHING: ChatList = { items: [], hasMore: false, loaded: false };

export class View {
  list: readonly Conversation[] = [];
  private rows = new Map<UserId, { readonly row: Row; readonly shown: Conversation }>();
  private readonly lists = new Map<UserId, ChatList>();
  /** Made again only when it differs, so that pages can compare by identity. */
  private readonly items = new WeakMap<Chat | Outgoing, ChatItem>();

  constructor(private readonly model: Model) {
    this.list = this.conversations();
  }

  chats(peerId: UserId): ChatList {
    return this.lists.get(peerId) ?? NOTHING;
  }

  conversation(peerId: UserId): Conversation | null {
    return this.rows.get(peerId)?.shown ?? null;
  }

  open(peerId: UserId): void {
    if (!this.lists.has(peerId)) this.lists.set(peerId, this.chatList(peerId));
  }

  close(peerId: UserId): void {
    this.lists.delete(peerId);
  }

  /** Brings what is shown up to date; null if pages would see no difference. */
  take(session: Session): Changes | null {
    const { dirty } = this.model;
    let conversations: ListChange | null = null;
    if (dirty.list) {
      const next = this.conversations();
      conversations = difference(this.list, next, (row) => row.peer.id);
      this.list = next;
    }
    const chats = new Map<UserId, ChatsChange>();
    for (const peerId of dirty.chats) {
      const old = this.lists.get(peerId);
      if (!old) continue;
      const next = this.chatList(peerId);
      const items = difference(old.items, next.items, (item) => item.key);
      const hasMore = old.hasMore !== next.hasMore;
      const loaded = old.loaded !== next.loaded;
      if (!items && !hasMore && !loaded) continue;
      chats.set(peerId, { items, hasMore, loaded });
      this.lists.set(peerId, next);
    }
    const changes: Changes = {
      connection: dirty.connection,
      conversations,
      chats,
      typing: [...dirty.typing],
      presence: [...dirty.presence],
      me: dirty.me,
      session: dirty.session ? session : null,
    };
    dirty.connection = dirty.list = dirty.me = dirty.session = false;
    for (const set of [dirty.chats, dirty.typing, dirty.presence]) set.clear();
    const { connection, typing, presence, me } = changes;
    const some = connection || me || changes.session !== null || conversations !== null;
    return some || chats.size + typing.length + presence.length > 0 ? changes : null;
  }

  private conversations(): readonly Conversation[] {
    const { model } = this;
    const unsent = new Map<UserId, ChatItem>();
    for (const entry of model.outbox.entries) unsent.set(entry.peerId, this.outgoing(entry));
    const old = this.rows;
    this.rows = new Map();
    return model.conversations.sorted().map((row) => {
      const { id } = row.peer;
      const presence = model.presences.get(id) ?? UNKNOWN;
      const last = unsent.get(id) ?? null;
      const before = old.get(id);
      const same =
        before?.row === row &&
        before.shown.unsent === last &&
        before.shown.peer.online === presence.online &&
        before.shown.peer.lastSeenAt === presence.lastSeenAt;
      const shown = same ? before.shown : this.conversationOf(row, presence, last);
      this.rows.set(id, { row, shown });
      return shown;
    });
  }

  private conversationOf(row: Row, presence: Presence, unsent: ChatItem | null): Conversation {
    const { id, peer, lastChat, readUpTo, peerReadUpTo } = row;
    return {
      id,
      peer: { ...peer, ...presence },
      lastChat: {
        id: lastChat.id,
        mine: lastChat.userId === this.model.me.id,
        content: lastChat.kind === 'text' ? lastChat.content : null,
        time: lastChat.time,
      },
      unread: unreadOf(row),
      readUpTo,
      peerReadUpTo,
      unsent,
    };
  }

  private chatList(peerId: UserId): ChatList {
    const log = this.model.log(peerId);
    if (!log) return NOTHING;
    const readUpTo = this.model.conversations.rows.get(peerId)?.peerReadUpTo ?? 0;
    const chats = log.chats.filter(({ kind }) => kind === 'text').map((chat) => this.chat(chat, readUpTo));
    const waiting = this.model.outbox.entries.filter((entry) => entry.peerId === peerId);
    return {
      items: [...chats, ...waiting.map((entry) => this.outgoing(entry))],
      hasMore: log.hasMore,
      loaded: log.loaded,
    };
  }

  private chat(chat: Chat, readUpTo: number): ChatItem {
    const mine = chat.userId === this.model.me.id;
    const read = mine && chat.id <= readUpTo;
    const made = this.items.get(chat);
    if (made?.read === read) return made;
    const { id, content, time, clientMsgId } = chat;
    const item: ChatItem = {
      key: itemKey(mine, mine ? clientMsgId : id),
      id,
      mine,
      content,
      time,
      status: 'sent',
      failure: null,
      read,
    };
    this.items.set(chat, item);
    return item;
  }

  private outgoing(entry: Outgoing): ChatItem {
    const item = toItem(entry, this.model.outbox.sending === entry);
    const made = this.items.get(entry);
    if (made?.status === item.status) return made;
    this.items.set(entry, item);
    return item;
  }
}

/** How `next` differs from `old`: what is between the ends that they share was replaced. */
export function difference<T>(old: readonly T[], next: readonly T[], key: (entry: T) => unknown): ListChange | null {
  const same = (a: T | undefined, b: T | undefined) => a !== undefined && b !== undefined && key(a) === key(b);
  let index = 0;
  while (same(old[index], next[index])) index += 1;
  let tail = 0;
  const most = Math.min(old.length, next.length) - index;
  while (tail < most && same(old[old.length - 1 - tail], next[next.length - 1 - tail])) tail += 1;
  const removed = old.length - index - tail;
  const inserted = next.length - index - tail;
  const changed: number[] = [];
  next.forEach((entry, at) => {
    const before = at < index ? at : at >= next.length - tail ? at - next.length + old.length : -1;
    if (before >= 0 && old[before] !== entry) changed.push(at);
  });
  return removed + inserted + changed.length > 0 ? { index, removed, inserted, changed } : null;
}
