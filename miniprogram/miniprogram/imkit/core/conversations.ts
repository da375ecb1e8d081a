// The list of conversations: merges pages of HTTP and events of the timeline, in any order.

import { lastOf, later } from './ids';
import { keyOf, keyOfChat } from './keys';
import { MOST_SAVED_ROWS, MOST_UNREAD } from './limits';
import type { Row, SavedList } from './saved';
import type { ChatId, ConversationId, ConversationKey, UserId } from './types';
import { toRow, type Chat, type ConversationPart, type ConversationRow, type Deleted, type Page } from './wire';

/** The rows when an answer was asked for. */
export type Asked = ReadonlyMap<ConversationKey, Row>;

export const createConversations = (me: UserId, saved: SavedList | null) => {
  const rows = new Map<ConversationKey, Row>();
  let loaded = false;
  let hasMore = false;
  /** Where the next page begins: the position of the last row that pages brought. */
  let pagedTo: ChatId | 0 = 0;
  /** A `reset` came: rows after the first page may be out of date. */
  let stale = false;
  /** Unread chats in rows that are not loaded, by the service's last total; and whether that was too many to count. */
  let rest = 0;
  let capped = false;

  const put = (row: Row): void => {
    const position = later(row.position, row.lastChat?.id ?? 0);
    rows.set(keyOf(row), { ...row, position, mentioned: row.mentioned && unreadOf(row) > 0 });
  };
  if (saved) {
    saved.rows.map(toRow).forEach(put);
    ({ pagedTo, hasMore } = saved);
  }

  /** What the list shows: pinned ones first, then newest first. */
  const sorted = (): Row[] =>
    [...rows.values()]
      .filter(({ left, position, hiddenUpTo }) => !left && position > hiddenUpTo)
      .sort((a, b) => +b.pinned - +a.pinned || b.position - a.position);

  /** The unread chats of the list, muted rows aside; as a page counts those that are on it. */
  const total = (page?: ReadonlyMap<ConversationKey, ConversationRow>): number =>
    sorted().reduce((sum, row) => row.muted ? sum : sum + (page?.get(keyOf(row))?.unread ?? unreadOf(row)), 0);

  const byId = (id: ConversationId): Row | undefined => [...rows.values()].find((row) => row.id === id);

  /** The row of a chat; if it is not known, one that is not in the list until a page or a chat says so. */
  const rowOf = (key: ConversationKey, id: ConversationId): Row =>
    rows.get(key) ??
    toRow({
      id,
      ...(typeof key === 'number' ? { peer: { id: key, name: '' } as Row['peer'] } : { kind: 'group' }),
      hiddenUpTo: Infinity as ChatId,
    });

  /** A row from the service, which may be older than the timeline's events. False if it has to be asked for again. */
  const merge = (from: ConversationRow, asked: Asked, listed?: boolean): boolean => {
    const key = keyOf(from);
    const row = rows.get(key);
    const fresh = toRow({ ...from, countedTo: from.position });
    if (!row) {
      // Only pages say that it is in the list.
      put({ ...fresh, hiddenUpTo: listed ? 0 : (Infinity as ChatId) });
      return true;
    }
    if (row.stamp !== (asked.get(key)?.stamp ?? 0)) return false;
    const { countedTo, unread, mentioned } = fresh.position < row.countedTo ? row : fresh;
    const readUpTo = later(row.readUpTo, fresh.readUpTo);
    const since = after(row.since, later(countedTo, readUpTo));
    put({
      ...fresh,
      stamp: row.stamp,
      hiddenUpTo: listed ? 0 : row.hiddenUpTo,
      clearedUpTo: row.clearedUpTo,
      position: later(row.position, fresh.position),
      lastChat: row.lastChat && row.lastChat.id > fresh.position ? row.lastChat : fresh.lastChat,
      readUpTo,
      peerReadUpTo: later(row.peerReadUpTo, fresh.peerReadUpTo),
      unread: readUpTo >= countedTo ? 0 : unread,
      mentioned: mentioned || (row.mentioned && since.length > 0),
      countedTo,
      since,
    });
    // A chat made the row: what is unread before that chat was counted as unloaded.
    if (!row.countedTo && !fresh.muted && !isGone(row)) rest -= fresh.unread + since.length - unreadOf(row);
    return true;
  };

  return {
    rows,
    sorted,
    merge,
    byId,
    loaded: () => loaded,
    hasMore: () => hasMore,
    pagedTo: () => pagedTo,
    /** Whether there is more unread than the service counts: then only it knows what is left after a read mark. */
    capped: () => hasMore && capped,
    unreadTotal: () => Math.min(total() + (hasMore ? Math.max(rest, 0) : 0), MOST_UNREAD),

    /** What to store. */
    save: (): SavedList => {
      const all = sorted();
      const kept = all.slice(0, MOST_SAVED_ROWS);
      const cut = kept.length < all.length;
      return { rows: kept, pagedTo: cut ? (lastOf(kept)?.position ?? 0) : pagedTo, hasMore: cut || hasMore };
    },

    /** A `reset` came. The rows are shown until they are loaded again; in another epoch they mean nothing. */
    reset: (same: boolean): void => {
      stale = true;
      if (same) return;
      rows.clear();
      pagedTo = 0;
      hasMore = loaded = false;
    },

    /**
     * A chat of the timeline. Returns the key of a row that it made, of whose peer only the name is known, or brought
     * back into the list: pages did not have it.
     */
    add: (chat: Chat): ConversationKey | null => {
      const { id, kind, mentions, state, version } = chat;
      const mine = chat.userId === me;
      const key = keyOfChat(chat, me);
      const name = mine ? chat.targetUserName : chat.userName;
      const row = rowOf(key, chat.conversationId);
      const last = row.lastChat;
      const newer = !last || id > last.id || (id === last.id && version >= last.version);
      const counts =
        !mine &&
        kind !== 'system' &&
        !state &&
        id > later(row.countedTo, row.readUpTo) &&
        !row.since.includes(id);
      put({
        ...row,
        peer: row.peer && newer ? { ...row.peer, name } : row.peer,
        lastChat: newer && id > row.clearedUpTo ? chat : last,
        // If it was hidden after this chat, the event that says so is yet to come.
        hiddenUpTo: 0,
        since: counts ? [...row.since, id].slice(-MOST_UNREAD) : row.since,
        mentioned: row.mentioned || (counts && (mentions === 'all' || !!mentions?.includes(me))),
      });
      return row.position > row.hiddenUpTo ? null : key;
    },

    /** A chat has changed. True if only the service can say what that means for the row. */
    change: (key: ConversationKey, chat: Chat | Deleted): boolean => {
      // Also of a row that is not known: the page that brings it may have been asked for before.
      const row = rowOf(key, chat.conversationId);
      const isLast = row.lastChat?.id === chat.id;
      if (!isLast && chat.id <= row.readUpTo) return false;
      const changed = 'kind' in chat ? chat : null;
      put({ ...row, stamp: row.stamp + 1, lastChat: isLast ? changed : row.lastChat });
      return true;
    },

    /** An event about a conversation. Returns its row as it was; undefined if it was not known. */
    assign: (part: ConversationPart): Row | undefined => {
      const { id, kind, left = false } = part;
      const known = id && byId(id);
      const row = known ?? (kind === 'group' && !left && toRow(part));
      if (!row) return;
      const { lastChat, countedTo, unread, since } = row;
      const cleared = part.clearedUpTo ?? row.clearedUpTo;
      put({
        ...row,
        ...part,
        left,
        stamp: row.stamp + 1,
        lastChat: lastChat && lastChat.id > cleared ? lastChat : null,
        unread: countedTo > cleared ? unread : 0,
        since: after(since, cleared),
      });
      return known;
    },

    /** The page before `before`, ignored if the list ends elsewhere by now. With 0, the newest page. Returns rows to ask for again. */
    addPage: ({ conversations, hasMore: more, unreadTotal }: Page, before: ChatId | 0, asked: Asked, all: readonly ConversationRow[]): readonly ConversationRow[] => {
      if (before && before !== pagedTo) return [];
      const last = lastOf(conversations)?.position ?? before;
      const listed = new Map(all.map((row) => [keyOf(row), row]));
      if (!before) {
        for (const [key, row] of rows) {
          if (listed.has(key)) continue;
          // On this page, had it not been hidden or left.
          if (asked.get(key) === row && (!more || row.position > last)) put({ ...row, hiddenUpTo: Infinity as ChatId });
          else if (stale && row.position < last) rows.delete(key);
        }
        if (stale) pagedTo = 0;
        stale = false;
      }
      if (!pagedTo || last <= pagedTo) {
        pagedTo = last;
        hasMore = more;
      }
      loaded = true;
      const late = all.filter((row) => !merge(row, asked, true));
      capped = unreadTotal >= MOST_UNREAD;
      rest = unreadTotal - total(listed);
      // What is shown as unread beyond the page was read meanwhile on another device.
      return rest < 0 && !capped ? [...late, ...sorted().filter((row) => unreadOf(row) && !listed.has(keyOf(row)))] : late;
    },

    /** A user has read up to here. Only the service can count what remains unread in between. */
    read: (row: Row, userId: UserId, upTo: ChatId): void => {
      const mine = userId === me;
      const who = mine ? 'readUpTo' : 'peerReadUpTo';
      if (upTo <= row[who]) return;
      put({
        ...row,
        [who]: upTo,
        ...(mine && { unread: upTo >= row.countedTo ? 0 : row.unread, since: after(row.since, upTo) }),
      });
    },
  };
};

/** Unread chats: 100 means more. */
export const unreadOf = (row: Row): number => Math.min(row.unread + row.since.length, MOST_UNREAD);

/** Whether it is not in the list, and may have been left. Its next chat brings it back, or a page. */
export const isGone = ({ left, hiddenUpTo }: Row): boolean => left || hiddenUpTo === Infinity;

const after = (ids: readonly ChatId[], mark: ChatId | 0): readonly ChatId[] =>
  ids.filter((id) => id > mark);
