// The list of conversations: pages of HTTP and events of the timeline, in whatever order they come.

import { later } from './ids';
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
  readonly unread: number;
  readonly countedTo: ChatId | 0;
  /** The peer's chats since that count. */
  readonly since: readonly ChatId[];
}

export interface SavedList {
  readonly rows: readonly Row[];
  readonly pagedTo: ChatId | 0;
  readonly hasMore: boolean;
}

export function createConversations(me: UserId, saved: SavedList | null) {
  const rows = new Map<UserId, Row>();
  let loaded = false;
  let hasMore = false;
  /** Where the next page begins: the last chat's id of the last row that came in pages. */
  let pagedTo: ChatId | 0 = 0;
  /** Rows after the first page may be out of date: a `reset` came. */
  let stale = false;

  const put = (row: Row): void => {
    rows.set(row.peer.id, row);
  };
  if (saved) {
    saved.rows.forEach(put);
    ({ pagedTo, hasMore } = saved);
  }

  /** Newest first. */
  const sorted = (): Row[] => [...rows.values()].sort((a, b) => b.lastChat.id - a.lastChat.id);

  /** A row from the service, which may be older than what the timeline has brought since. */
  const merge = (from: ConversationRow): void => {
    const row = rows.get(from.peer.id);
    const fresh: Row = { ...from, countedTo: from.lastChat.id, since: [] };
    if (!row) {
      put(fresh);
      return;
    }
    const late = fresh.countedTo < row.countedTo;
    const { countedTo, unread } = late ? row : fresh;
    const readUpTo = later(row.readUpTo, fresh.readUpTo);
    put({
      ...fresh,
      lastChat: row.lastChat.id > fresh.lastChat.id ? row.lastChat : fresh.lastChat,
      readUpTo,
      peerReadUpTo: later(row.peerReadUpTo, fresh.peerReadUpTo),
      unread: readUpTo >= countedTo ? 0 : unread,
      countedTo,
      since: after(row.since, later(countedTo, readUpTo)),
    });
  };

  return {
    rows,
    sorted,
    merge,
    loaded: () => loaded,
    hasMore: () => hasMore,
    pagedTo: () => pagedTo,

    byId: (id: ConversationId): Row | undefined => [...rows.values()].find((row) => row.id === id),

    /** What storage keeps. */
    save: (): SavedList => {
      const all = sorted();
      const kept = all.slice(0, MOST_SAVED);
      if (kept.length === all.length) return { rows: kept, pagedTo, hasMore };
      return { rows: kept, pagedTo: kept[kept.length - 1]?.lastChat.id ?? 0, hasMore: true };
    },

    /** A `reset` came. What is known is shown until it is loaded anew. */
    unsure: (): void => {
      stale = true;
    },

    /** What is known belongs to a history that is no more. */
    clear: (): void => {
      rows.clear();
      pagedTo = 0;
      hasMore = loaded = false;
    },

    /** A chat of the timeline. Returns false if it made a row whose peer is known by name only. */
    add: (chat: Chat): boolean => {
      const mine = chat.userId === me;
      const id = mine ? chat.targetUserId : chat.userId;
      const name = mine ? chat.targetUserName : chat.userName;
      const known = rows.get(id);
      const row: Row = known ?? {
        id: chat.conversationId,
        peer: { id, name, avatarUrl: null },
        lastChat: chat,
        readUpTo: 0,
        peerReadUpTo: 0,
        unread: 0,
        countedTo: 0,
        since: [],
      };
      const counts = !mine && chat.id > later(row.countedTo, row.readUpTo) && !row.since.includes(chat.id);
      const newer = chat.id >= row.lastChat.id;
      put({
        ...row,
        peer: newer && name !== row.peer.name ? { ...row.peer, name } : row.peer,
        lastChat: newer ? chat : row.lastChat,
        since: counts ? [...row.since, chat.id].slice(-MOST_UNREAD) : row.since,
      });
      return known !== undefined;
    },

    /** The newest page. */
    addFirst: (page: Page<ConversationRow>): void => {
      const { entries } = page;
      const last = entries[entries.length - 1]?.lastChat.id ?? 0;
      if (stale) {
        stale = false;
        pagedTo = 0;
        const kept = new Set(entries.map(({ peer }) => peer.id));
        for (const [id, row] of rows) if (row.lastChat.id < last && !kept.has(id)) rows.delete(id);
      }
      if (pagedTo === 0 || last <= pagedTo) {
        pagedTo = last;
        ({ hasMore } = page);
      }
      loaded = true;
      entries.forEach(merge);
    },

    /** The page before `before`. Nothing, if the list ends elsewhere by now. */
    addNext: (before: ChatId | 0, page: Page<ConversationRow>): void => {
      if (before !== pagedTo) return;
      const { entries } = page;
      pagedTo = entries[entries.length - 1]?.lastChat.id ?? before;
      ({ hasMore } = page);
      entries.forEach(merge);
    },

    /** Oneself has read up to here. What was counted after it stays counted: the service knows better. */
    readByMe: (row: Row, readUpTo: ChatId): void => {
      if (readUpTo <= row.readUpTo) return;
      const unread = readUpTo >= row.countedTo ? 0 : row.unread;
      put({ ...row, readUpTo, unread, since: after(row.since, readUpTo) });
    },

    readByPeer: (row: Row, peerReadUpTo: ChatId): void => {
      if (peerReadUpTo > row.peerReadUpTo) put({ ...row, peerReadUpTo });
    },
  };
}

/** 0 to 99; 100 means more. */
export function unreadOf({ unread, since }: Row): number {
  return Math.min(unread + since.length, MOST_UNREAD);
}

function after(ids: readonly ChatId[], mark: ChatId | 0): readonly ChatId[] {
  return ids.filter((id) => id > mark);
}
