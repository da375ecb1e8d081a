// The known chats of one conversation: the newest ones, without a gap between them.

import { lastOf, later } from './ids';
import { DROP, MOST_CHATS } from './limits';
import type { SavedLog } from './saved';
import type { ChatId } from './types';
import type { Chat } from './wire';

export type ChatLog = ReturnType<typeof createChatLog>;

/** `complete`: no chat can have come since it was saved. */
export const createChatLog = (saved: SavedLog | null, complete: boolean) => {
  /** By id, without duplicates. */
  let chats: readonly Chat[] = saved ? saved.chats : [];
  /** Whether the service has older ones. */
  let more = saved ? saved.hasMore : true;
  let loaded = false;
  let unsaved = false;
  const oldest = (): ChatId | 0 => chats[0]?.id ?? 0;
  const newest = (): ChatId | 0 => lastOf(chats)?.id ?? 0;
  /**
   * No chat is missing up to this one. Later ones came in a page that was ahead of the timeline,
   * which will bring those in between.
   */
  let solid = newest();
  /**
   * A gap: the timeline will not bring the chats between `from` and those that came after `to`,
   * because a `reset` came, or the stored chats are older than the cursor. A page has to overlap to close it.
   */
  let doubt: { readonly from: number; readonly to: number } | null = null;

  /** Some of the last chats may be missing. */
  const unsure = (): void => {
    if (newest()) doubt = { from: doubt?.from ?? solid, to: newest() };
  };
  if (!complete) unsure();

  /** Keeps the newest ones. */
  const keep = (most: number): void => {
    if (chats.length <= most) return;
    chats = chats.slice(-most);
    more = true;
  };

  const merge = (added: readonly Chat[]): void => {
    const last = newest();
    // The common case, a new chat at the end, needs no search through the list.
    const known = added.every(({ id }) => id > last) ? null : new Set(chats.map(({ id }) => id));
    const fresh = known ? added.filter(({ id }) => !known.has(id)) : added;
    if (!fresh.length) return;
    unsaved = true;
    const all = [...chats, ...fresh];
    chats = known ? all.sort((a, b) => a.id - b.id) : all;
  };

  return {
    all: () => chats,
    oldest,
    /** The newest page was merged since `open`. */
    loaded: () => loaded,
    /** Whether older chats can be loaded. */
    hasMore: () => more && chats.length < MOST_CHATS,
    unsure,

    /** The chats to store; null if nothing changed, or while the end is in doubt. */
    take: (seq: number): SavedLog | null => {
      if (!unsaved || doubt) return null;
      unsaved = false;
      return { chats: chats.filter(({ id }) => id <= solid), hasMore: more, seq };
    },

    /** It is not open any more. */
    close: (most: number): void => {
      keep(most);
      loaded = false;
    },

    /** A chat from the timeline, which has brought all earlier chats of this conversation. */
    add: (chat: Chat): void => {
      const known = chat.id <= newest() && chats.some(({ id }) => id === chat.id);
      // If no page had it, chats after it may begin behind a gap.
      solid = known ? later(solid, chat.id) : chat.id;
      merge([chat]);
      if (chats.length > MOST_CHATS) keep(MOST_CHATS - DROP);
    },

    /** The page before `before`, ignored if that is no longer the oldest chat. Or the newest page. */
    addPage: (entries: readonly Chat[], hasMore: boolean, before?: ChatId): void => {
      if (before) {
        if (before !== oldest()) return;
        more = hasMore;
        merge(entries);
        return;
      }
      const first = entries[0]?.id ?? 0;
      const last = lastOf(entries)?.id ?? 0;
      if (hasMore && doubt && doubt.from < first) {
        // Chats before the page may be missing: those before that gap would be shown out of place.
        const { to } = doubt;
        chats = chats.filter(({ id }) => id > to);
        more = true;
      }
      if (!hasMore || !oldest() || first <= solid) solid = later(solid, last);
      doubt = null;
      if (!oldest() || first <= oldest()) more = hasMore;
      loaded = true;
      merge(entries);
    },
  };
};
