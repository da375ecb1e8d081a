// The list of conversations: merges pages of HTTP and events of the timeline, in any order.

import { lastOf, later } from './ids';
import { keyOf, keyOfChat, peerOf } from './keys';
import { MOST_SAVED_ROWS, MOST_UNREAD } from './limits';
import type { Row, SavedList } from './saved';
import type { ChatId, ConversationId, ConversationKey, UserId } from './types';
import type { Chat, ConversationRow } from './wire';

export const createConversations = (me: UserId, saved: SavedList | null) => {
  const rows = new Map<ConversationKey, Row>();
  let loaded = false;
  let hasMore = false;
  /** Where the next page begins: the id of the last chat in the last row that pages brought. */
  let pagedTo: ChatId | 0 = 0;
  /** A `reset` came: rows after the first page may be out of date. */
  let stale = false;

  const put = (row: Row) => rows.set(keyOf(row), row);
  if (saved) {
    saved.rows.forEach(put);
    ({ pagedTo, hasMore } = saved);
  }

  /** Newest first. */
  const sorted = (): Row[] => [...rows.values()].sort((a, b) => b.lastChat.id - a.lastChat.id);

  /** A row from the service, which may be older than the timeline's events. */
  const merge = (from: ConversationRow): void => {
    const row = rows.get(keyOf(from));
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

    /** What to store. */
    save: (): SavedList => {
      const all = sorted();
      const kept = all.slice(0, MOST_SAVED_ROWS);
      const cut = kept.length < all.length;
      return { rows: kept, pagedTo: cut ? (lastOf(kept)?.lastChat.id ?? 0) : pagedTo, hasMore: cut || hasMore };
    },

    /** A `reset` came. The rows are shown until they are loaded again. */
    unsure: (): void => {
      stale = true;
    },

    /** The rows belong to an epoch that has ended. */
    clear: (): void => {
      rows.clear();
      pagedTo = 0;
      hasMore = loaded = false;
    },

    /** A chat of the timeline. Returns the key of a row that it made: of its peer only the name is known. */
    add: (chat: Chat): ConversationKey | null => {
      const mine = chat.userId === me;
      const key = keyOfChat(chat, me);
      const name = mine ? chat.targetUserName : chat.userName;
      const known = rows.get(key);
      const row: Row = known ?? {
        id: chat.conversationId,
        peer: { id: peerOf(key), name, avatarUrl: null },
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
      return known ? null : key;
    },

    /** The page before `before`, ignored if the list ends elsewhere by now. With 0, the newest page. */
    addPage: (entries: readonly ConversationRow[], more: boolean, before: ChatId | 0): void => {
      if (before && before !== pagedTo) return;
      const last = lastOf(entries)?.lastChat.id ?? before;
      if (!before && stale) {
        stale = false;
        pagedTo = 0;
        const kept = new Set(entries.map(keyOf));
        for (const [key, row] of rows) if (row.lastChat.id < last && !kept.has(key)) rows.delete(key);
      }
      if (!pagedTo || last <= pagedTo) {
        pagedTo = last;
        hasMore = more;
      }
      loaded = true;
      entries.forEach(merge);
    },

    /** A user has read up to here. Only the service can count what remains unread in between. */
    read: (row: Row, userId: UserId, upTo: ChatId): void => {
      const who = userId === me ? 'readUpTo' : 'peerReadUpTo';
      if (upTo <= row[who]) return;
      const unread = upTo >= row.countedTo ? 0 : row.unread;
      const mine = who === 'readUpTo' && { unread, since: after(row.since, upTo) };
      put({ ...row, [who]: upTo, ...mine });
    },
  };
};

const after = (ids: readonly ChatId[], mark: ChatId | 0): readonly ChatId[] =>
  ids.filter((id) => id > mark);
