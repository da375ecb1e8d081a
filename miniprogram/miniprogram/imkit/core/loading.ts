// Loads lists and chats over HTTP, and merges them into the model.

import { isGone, type Asked } from './conversations';
import type { Route } from './http';
import { groupId, keyOf, toKey } from './keys';
import type { Load } from './loads';
import type { Marks } from './marks';
import type { Model } from './model';
import type { ChatId, ConversationKey } from './types';
import { toChats, toConversations, toOne, type ConversationRow, type Page, type Reader } from './wire';

/** Sends a request, and applies the answer. Rejects with `ImError`. */
export type Obtain = <T>(route: Route, read: Reader<T>, apply: (answer: T) => void) => Promise<void>;

export const createLoading = (
  model: Model,
  obtain: Obtain,
  /** Loads more after this. */
  want: (what: Load) => void,
  marks: Marks,
) => {
  const { list, touchChats } = model;
  const { rows } = list;
  /** Conversations whose older chats are being loaded. */
  const older = new Set<ConversationKey>();

  /** Merges rows that came; those that changed meanwhile are asked for again. */
  const loadRows = (
    route: Route,
    read: Reader<Page>,
    merge = (_: Page, asked: Asked, all: readonly ConversationRow[]): readonly ConversationRow[] => all.filter((row) => !list.merge(row, asked)),
  ): Promise<void> => {
    const asked = new Map(rows);
    return obtain(route, read, (answer) => {
      const all = [...answer.pinned, ...answer.conversations];
      for (const row of all) {
        const { peer, readUpTo, left } = row;
        const key = keyOf(row);
        if (peer) model.setPresence(peer.id, peer);
        touchChats(key);
        const known = rows.get(key);
        // Unless it is from before the mark was sent, this one was lost.
        if (known && known.readUpTo > readUpTo && known.readUpTo !== marks.sent.get(key)) marks.add(key);
        // Nobody was told what became of its chats in between.
        if (known?.left && !left) {
          model.forget(key);
          want(`chats:${key}`);
        }
      }
      for (const late of merge(answer, asked, all)) want(`row:${keyOf(late)}`);
      model.touch('list');
    });
  };

  /** The page of the list before `before`, or the newest. */
  const loadList = (before: ChatId | 0 = 0): Promise<void> =>
    loadRows(`GET /v1/conversations?${page(before)}`, toConversations, (answer, asked, all) => {
      // Rows of open conversations that are not on the newest page may have been read meanwhile.
      const listed = new Set(all.map(keyOf));
      for (const key of before ? [] : model.opened) if (!listed.has(key) && rows.has(key)) want(`row:${key}`);
      return list.addPage(answer, before, asked, all);
    });

  const loadRow = (key: ConversationKey): Promise<void> =>
    typeof key === 'number'
      ? loadRows(`GET /v1/conversations?peerId=${key}`, toConversations)
      : loadRows(`GET /v1/conversations/${groupId(key)}`, toOne);

  /** The page of chats before `before`; or what is missing, or the newest page. */
  const loadChats = async (key: ConversationKey, before: ChatId | 0 = 0): Promise<void> => {
    const known = rows.get(key);
    if (!known || isGone(known)) await loadRow(key);
    const row = rows.get(key);
    const log = model.log(key);
    // Otherwise nobody has written yet.
    if (!row) {
      model.withLog(key, log, [], (one) => one.addPage([], false, 0, 0));
      return;
    }
    const { id, version } = row;
    const path = `GET /v1/conversations/${id}/chats?` as const;
    const since = before ? null : (log?.missing() ?? null);
    if (since !== null) {
      await obtain(`${path}changedSince=${since}`, toChats, ({ chats, hasMore, version: to }) =>
        model.withLog(key, log, chats, (one) => one.repair(chats, hasMore, to)),
      );
      if (log?.loaded()) return;
    }
    await obtain(path + page(before) as Route, toChats, ({ chats, hasMore }) =>
      model.withLog(key, log, chats, (one) => one.addPage(chats, hasMore, before, version)),
    );
  };

  const load = (what: Load): Promise<void> => {
    const [kind, name] = what.split(':');
    const key = toKey(name);
    return !key ? loadList() : kind === 'row' ? loadRow(key) : loadChats(key);
  };

  return {
    load,
    newest: () => loadList(),

    next: async (): Promise<void> => {
      if (list.hasMore()) await loadList(list.pagedTo());
    },

    older: async (key: ConversationKey): Promise<void> => {
      const log = model.log(key);
      if (older.has(key) || !log?.hasMore()) return;
      older.add(key);
      await loadChats(key, log.oldest()).finally(() => older.delete(key));
    },
  };
};

/** The query for 50 entries before this one, or for the newest 50. */
const page = (before: ChatId | 0): string => before ? `limit=50&before=${before}` : 'limit=50';
