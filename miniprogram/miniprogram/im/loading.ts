// Loads lists and chats over HTTP, and merges them into the model.

import type { Route } from './http';
import { keyOf, parseKey, peerOf } from './keys';
import type { Load } from './loads';
import type { Model } from './model';
import type { ChatId, ConversationId, ConversationKey } from './types';
import { toChats, toConversations, type ConversationRow, type Reader } from './wire';

/** Sends a request, and applies the answer. Rejects with `ImError`. */
export type Obtain = <T>(route: Route, read: Reader<T>, apply: (answer: T) => void) => Promise<void>;

export const createLoading = (
  model: Model,
  obtain: Obtain,
  /** Loads more after this. */
  want: (what: Load) => void,
  /** Read marks that the service does not have yet. */
  marks: Map<ConversationId, ChatId>,
) => {
  const { list, touchChats } = model;
  const { rows } = list;
  /** Conversations whose older chats are being loaded. */
  const older = new Set<ConversationKey>();

  const loadRows = (
    query: string,
    apply: (found: readonly ConversationRow[], hasMore: boolean) => void,
  ): Promise<void> =>
    obtain(`GET /v1/conversations?${query}`, toConversations, ({ conversations: found, hasMore }) => {
      for (const row of found) {
        const { id, peer, readUpTo } = row;
        const key = keyOf(row);
        model.setPresence(peer.id, peer);
        touchChats(key);
        // A read mark has no answer: if the service does not have it, it was lost.
        const known = rows.get(key)?.readUpTo;
        if (known && known > readUpTo) marks.set(id, known);
      }
      apply(found, hasMore);
      model.touch('list');
    });

  /** The page of the list before `before`, or the newest. */
  const loadList = (before: ChatId | 0 = 0): Promise<void> =>
    loadRows(page(before), (found, hasMore) => {
      list.addPage(found, hasMore, before);
      if (before) return;
      // Rows of open conversations that are not on the page may have been read meanwhile.
      const listed = new Set(found.map(keyOf));
      for (const key of model.opened) if (!listed.has(key) && rows.has(key)) want(`row:${key}`);
    });

  const loadRow = (key: ConversationKey): Promise<void> =>
    loadRows(`peerId=${peerOf(key)}`, (found) => found.forEach(list.merge));

  /** The page of chats before `before`, or the newest. */
  const loadChats = async (key: ConversationKey, before?: ChatId): Promise<void> => {
    if (!rows.has(key)) await loadRow(key);
    const row = rows.get(key);
    // Otherwise nobody has written yet.
    if (!row) model.addPage(key, [], false);
    else
      await obtain(`GET /v1/conversations/${row.id}/chats?${page(before)}`, toChats, ({ chats, hasMore }) =>
        model.addPage(key, chats, hasMore, before),
      );
  };

  const load = (what: Load): Promise<void> => {
    const [kind, name = ''] = what.split(':');
    const key = parseKey(name);
    return kind === 'list' ? loadList() : kind === 'row' ? loadRow(key) : loadChats(key);
  };

  return {
    load,
    newest: () => loadList(),

    next: async (): Promise<void> => {
      if (list.hasMore()) await loadList(list.pagedTo());
    },

    older: async (key: ConversationKey): Promise<void> => {
      const log = model.log(key);
      const before = log?.oldest();
      if (older.has(key) || !before || !log?.hasMore()) return;
      older.add(key);
      await loadChats(key, before).finally(() => older.delete(key));
    },
  };
};

/** The query for 50 entries before this one, or for the newest 50. */
const page = (before: ChatId | 0 = 0): string => before ? `limit=50&before=${before}` : 'limit=50';
