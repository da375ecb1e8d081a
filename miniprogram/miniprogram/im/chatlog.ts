// The chats of one conversation that are known: the newest ones, without a hole between them.

import { lastOf, later } from './ids';
import { DROP, MOST_CHATS } from './limits';
import type { SavedLog } from './saved';
import type { ChatId } from './types';
import type { Chat } from './wire';

export type ChatLog = ReturnType<typeof createChatLog>;

/** `complete` if nothing can have come since it was saved. */
export const createChatLog = (saved: SavedLog | null, complete: boolean) => {
  /** By id, without repeats. */
  let chats: readonly Chat[] = saved ? saved.chats : [];
  /** Whether the service has older ones. */
  let more = saved ? saved.hasMore : true;
  let loaded = false;
  let unsaved = false;
  const oldest = (): ChatId | 0 => chats[0]?.id ?? 0;
  const newest = (): ChatId | 0 => lastOf(chats)?.id ?? 0;
  /**
   * Up to this chat none is missing. What is after it came in a page that was ahead of the timeline,
   * which brings what is between.
   */
  let solid = newest();
  /**
   * The timeline will not bring what is between the first of these chats and what came after the
   * second: a `reset` came, or what storage had is from before the cursor. A page has to overlap.
   */
  let doubt: { readonly from: number; readonly to: number } | null = null;

  /** Some of what came last may be missing. */
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
    // The common case, a new chat at the end, must not cost what a long list costs.
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
    /** Whether a page of older ones would bring something. */
    hasMore: () => more && chats.length < MOST_CHATS,
    unsure,

    /** What storage has not, and may keep; null if there is nothing, or while the end is in doubt. */
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

    /** A chat that the timeline brought: all that came before it in this conversation have come too. */
    add: (chat: Chat): void => {
      const known = chat.id <= newest() && chats.some(({ id }) => id === chat.id);
      // One that no page had: those after it, if there are any, begin behind a hole.
      solid = known ? later(solid, chat.id) : chat.id;
      merge([chat]);
      if (chats.length > MOST_CHATS) keep(MOST_CHATS - DROP);
    },

    /** The page before `before`: nothing, if the list begins elsewhere by now. Or the newest page. */
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
        // Older ones than the page may be missing: what is before that hole would be shown out of place.
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
