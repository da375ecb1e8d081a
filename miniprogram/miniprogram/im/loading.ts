// What is loaded over HTTP, and where it goes.

import type { Route } from './http';
import type { Load } from './loads';
import type { Model } from './model';
import type { ChatId, ConversationId, UserId } from './types';
import { toChats, toConversations, type ConversationRow, type Reader } from './wire';

/** Asks, and applies the answer. Rejects with `ImError`. */
export type Obtain = <T>(route: Route, read: Reader<T>, apply: (answer: T) => void) => Promise<void>;

export const createLoading = (
  model: Model,
  obtain: Obtain,
  /** Loads more after this. */
  want: (what: Load) => void,
  /** Read marks that the service has not. */
  marks: Map<ConversationId, ChatId>,
) => {
  const { list, touchPeer } = model;
  const { rows } = list;
  /** Conversations of which older chats are being loaded. */
  const older = new Set<UserId>();

  const loadRows = (
    query: string,
    apply: (found: readonly ConversationRow[], hasMore: boolean) => void,
  ): Promise<void> =>
    obtain(`GET /v1/conversations?${query}`, toConversations, ({ conversations: found, hasMore }) => {
      for (const { id, peer, readUpTo } of found) {
        model.setPresence(peer.id, peer);
        touchPeer(peer.id);
        // A read mark has no answer: one that the service does not know was lost.
        const known = rows.get(peer.id)?.readUpTo;
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
      // Old rows of open conversations were not in the page, and may have been read meanwhile.
      const listed = new Set(found.map(({ peer }) => peer.id));
      for (const id of model.opened) if (!listed.has(id) && rows.has(id)) want(`row:${id}`);
    });

  const loadRow = (peerId: UserId): Promise<void> =>
    loadRows(`peerId=${peerId}`, (found) => found.forEach(list.merge));

  /** The page of chats before `before`, or the newest. */
  const loadChats = async (peerId: UserId, before?: ChatId): Promise<void> => {
    if (!rows.has(peerId)) await loadRow(peerId);
    const row = rows.get(peerId);
    // Otherwise nobody has written yet.
    if (!row) model.addPage(peerId, [], false);
    else
      await obtain(`GET /v1/conversations/${row.id}/chats?${page(before)}`, toChats, ({ chats, hasMore }) =>
        model.addPage(peerId, chats, hasMore, before),
      );
  };

  const load = (what: Load): Promise<void> => {
    const [kind, id] = what.split(':');
    const peerId = Number(id) as UserId;
    return kind === 'list' ? loadList() : kind === 'row' ? loadRow(peerId) : loadChats(peerId);
  };

  return {
    load,
    newest: () => loadList(),

    next: async (): Promise<void> => {
      if (list.hasMore()) await loadList(list.pagedTo());
    },

    older: async (peerId: UserId): Promise<void> => {
      const log = model.log(peerId);
      const before = log?.oldest();
      if (older.has(peerId) || !before || !log?.hasMore()) return;
      older.add(peerId);
      await loadChats(peerId, before).finally(() => older.delete(peerId));
    },
  };
};

/** The query for 50 entries before this one, or for the newest. */
const page = (before: ChatId | 0 = 0): string => before ? `limit=50&before=${before}` : 'limit=50';
