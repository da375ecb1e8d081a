// The list of conversations: pages of HTTP and events of the timeline, in whatever order they come.

import type { ChatId, ConversationId, User, UserId } from './types';
import type { Chat, ConversationRow, Page } from './wire';

/** Past this the exact number of unread chats is not told. */
const MOST_UNREAD = 100;
/** The most rows that storage keeps. */
const MOST_SAVED = 100;

export interface Row {
  readonly id: ConversationId;
  readonly peer: User;
  readonly lastChat: Chat;
  readonly readUpTo: ChatId | 0;
  readonly peerReadUpTo: ChatId | 0;
  /** Unread by the service's last count, which was made when `countedTo` was the last chat. */
  readonly counted: number;
  readonly countedTo: ChatId | 0;
  /** The peer's chats since that count. */
  readonly since: readonly ChatId[];
}

export interface SavedList {
  readonly rows: readonly Row[];
  readonly pagedTo: ChatId | 0;
  readonly hasMore: boolean;
}

export class Conversations {
  readonly rows = new Map<UserId, Row>();
  loaded = false;
  hasMore = false;
  /** Where the next page begins: the last chat's id of the last row that came in pages. */
  pagedTo: ChatId | 0 = 0;
  /** Rows after the first page may be out of date: a `reset` came. */
  private stale = false;

  constructor(private readonly me: UserId) {}

  restore(saved: SavedList): void {
    for (const row of saved.rows) this.rows.set(row.peer.id, row);
    this.pagedTo = saved.pagedTo;
    this.hasMore = saved.hasMore;
  }

  /** What storage keeps. */
  saved(): SavedList {
    const all = this.sorted();
    const rows = all.slice(0, MOST_SAVED);
    if (rows.length === all.length) return { rows, pagedTo: this.pagedTo, hasMore: this.hasMore };
    return { rows, pagedTo: rows[rows.length - 1]?.lastChat.id ?? 0, hasMore: true };
  }

  /** Newest first. */
  sorted(): Row[] {
    return [...this.rows.values()].sort((a, b) => b.lastChat.id - a.lastChat.id);
  }

  byId(id: ConversationId): Row | undefined {
    for (const row of this.rows.values()) if (row.id === id) return row;
    return undefined;
  }

  /** A `reset` came. What is known is shown until it is loaded anew. */
  unsure(): void {
    this.stale = true;
  }

  /** What is known belongs to a history that is no more. */
  clear(): void {
    this.rows.clear();
    this.pagedTo = 0;
    this.hasMore = false;
    this.loaded = false;
  }

  /** A chat of the timeline. Returns false if it made a row whose peer is known by name only. */
  add(chat: Chat): boolean {
    const mine = chat.userId === this.me;
    const id = mine ? chat.targetUserId : chat.userId;
    const name = mine ? chat.targetUserName : chat.userName;
    const known = this.rows.get(id);
    const row: Row = known ?? {
      id: chat.conversationId,
      peer: { id, name, avatarUrl: null },
      lastChat: chat,
      readUpTo: 0,
      peerReadUpTo: 0,
      counted: 0,
      countedTo: 0,
      since: [],
    };
    const counts = !mine && chat.id > Math.max(row.countedTo, row.readUpTo) && !row.since.includes(chat.id);
    const newer = chat.id >= row.lastChat.id;
    this.rows.set(id, {
      ...row,
      peer: newer && name !== row.peer.name ? { ...row.peer, name } : row.peer,
      lastChat: newer ? chat : row.lastChat,
      since: counts ? [...row.since, chat.id].slice(-MOST_UNREAD) : row.since,
    });
    return known !== undefined;
  }

  /** The newest page. */
  addFirst(page: Page<ConversationRow>): void {
    const last = page.entries[page.entries.length - 1]?.lastChat.id ?? 0;
    if (this.stale) {
      this.stale = false;
      this.pagedTo = 0;
      const kept = new Set(page.entries.map(({ peer }) => peer.id));
      for (const [id, row] of this.rows) {
        if (row.lastChat.id < last && !kept.has(id)) this.rows.delete(id);
      }
    }
    if (this.pagedTo === 0 || last <= this.pagedTo) {
      this.pagedTo = last;
      this.hasMore = page.hasMore;
    }
    this.loaded = true;
    page.entries.forEach((row) => {
      this.merge(row);
    });
  }

  /** The page before `before`. Nothing, if the list ends elsewhere by now. */
  addNext(before: ChatId | 0, page: Page<ConversationRow>): void {
    if (before !== this.pagedTo) return;
    this.pagedTo = page.entries[page.entries.length - 1]?.lastChat.id ?? before;
    this.hasMore = page.hasMore;
    page.entries.forEach((row) => {
      this.merge(row);
    });
  }

  /** A row from the service, which may be older than what the timeline has brought since. */
  merge(from: ConversationRow): void {
    const row = this.rows.get(from.peer.id);
    const fresh: Row = {
      id: from.id,
      peer: from.peer,
      lastChat: from.lastChat,
      readUpTo: from.readUpTo,
      peerReadUpTo: from.peerReadUpTo,
      counted: from.unread,
      countedTo: from.lastChat.id,
      since: [],
    };
    if (!row) {
      this.rows.set(from.peer.id, fresh);
      return;
    }
    const late = from.lastChat.id < row.countedTo;
    const countedTo = late ? row.countedTo : fresh.countedTo;
    const readUpTo = row.readUpTo > fresh.readUpTo ? row.readUpTo : fresh.readUpTo;
    this.rows.set(from.peer.id, {
      ...fresh,
      lastChat: row.lastChat.id > fresh.lastChat.id ? row.lastChat : fresh.lastChat,
      readUpTo,
      peerReadUpTo: row.peerReadUpTo > fresh.peerReadUpTo ? row.peerReadUpTo : fresh.peerReadUpTo,
      counted: readUpTo >= countedTo ? 0 : late ? row.counted : fresh.counted,
      countedTo,
      since: row.since.filter((id) => id > Math.max(countedTo, readUpTo)),
    });
  }

  /** Oneself has read up to here. What was counted after it stays counted: the service knows better. */
  readByMe(row: Row, upTo: ChatId): void {
    if (upTo <= row.readUpTo) return;
    const counted = upTo >= row.countedTo ? 0 : row.counted;
    this.rows.set(row.peer.id, { ...row, readUpTo: upTo, counted, since: row.since.filter((id) => id > upTo) });
  }

  readByPeer(row: Row, upTo: ChatId): void {
    if (upTo > row.peerReadUpTo) this.rows.set(row.peer.id, { ...row, peerReadUpTo: upTo });
  }
}

/** 0 to 99; 100 means more. */
export function unreadOf(row: Row): number {
  return Math.min(row.counted + row.since.length, MOST_UNREAD);
}
