// What is loaded over HTTP, and where it goes.

import type { Route } from './http';
import type { Load } from './loads';
import type { Model } from './model';
import type { ChatId, ConversationId, UserId } from './types';
import { toChats, toConversations, type ConversationRow, type Page, type Reader } from './wire';

/** Asks, and applies the answer. Rejects with `ImError`. */
export type Fetch = <T>(route: Route, read: Reader<T>, apply: (answer: T) => void) => Promise<void>;

export function createLoading(
  model: Model,
  fetch: Fetch,
  /** Loads more after this. */
  want: (what: Load) => void,
  /** Read marks that the service has not. */
  marks: Map<ConversationId, ChatId>,
) {
  const { conversations, touch, touchPeer } = model;
  const { rows } = conversations;

  const fetchRows = (query: string, apply: (page: Page<ConversationRow>) => void): Promise<void> =>
    fetch(`GET /v1/conversations?${query}`, toConversations, (page) => {
      for (const { id, peer, readUpTo } of page.entries) {
        model.setPresence(peer.id, peer);
        touchPeer(peer.id);
        // A read mark has no answer: one that the service does not know was lost.
        const known = rows.get(peer.id)?.readUpTo;
        if (known && known > readUpTo) marks.set(id, known);
      }
      apply(page);
      touch('list');
    });

  const list = (): Promise<void> =>
    fetchRows('limit=50', (page) => {
      conversations.addFirst(page);
      // Old rows of open conversations were not in the page, and may have been read meanwhile.
      const listed = new Set(page.entries.map(({ peer }) => peer.id));
      for (const id of model.openPeers()) if (!listed.has(id) && rows.has(id)) want(`row:${id}`);
    });

  const nextList = (): Promise<void> => {
    const before = conversations.pagedTo();
    return fetchRows(`limit=50&before=${before}`, (page) => {
      conversations.addNext(before, page);
    });
  };

  const row = (peerId: UserId): Promise<void> =>
    fetchRows(`peerId=${peerId}`, ({ entries }) => {
      entries.forEach(conversations.merge);
    });

  const chats = async (peerId: UserId): Promise<void> => {
    if (!rows.has(peerId)) await row(peerId);
    const known = rows.get(peerId);
    if (!known) {
      // Nobody has written yet.
      model.addNewest(peerId, { entries: [], hasMore: false });
      return;
    }
    await fetch(`GET /v1/conversations/${known.id}/chats?limit=50`, toChats, (page) => {
      model.addNewest(peerId, page);
    });
  };

  const older = async (peerId: UserId): Promise<void> => {
    const known = rows.get(peerId);
    const before = model.log(peerId)?.oldest();
    if (!known || !before) return;
    await fetch(`GET /v1/conversations/${known.id}/chats?limit=50&before=${before}`, toChats, (page) => {
      model.addOlder(peerId, before, page);
    });
  };

  const load = (what: Load): Promise<void> => {
    const [kind, id] = what.split(':');
    const peerId = Number(id) as UserId;
    return kind === 'list' ? list() : kind === 'row' ? row(peerId) : chats(peerId);
  };

  return { list, nextList, older, load };
}
