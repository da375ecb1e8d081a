// The known chats of one conversation: the newest ones, without a gap between them.

import { lastOf } from './ids';
import { DROP, MOST_CHATS } from './limits';
import type { SavedLog } from './saved';
import type { ChatId } from './types';
import { toJson, type Chat, type Deleted } from './wire';

export type ChatLog = ReturnType<typeof createChatLog>;

/** What is known to have become of a chat. */
type Change = Partial<Chat> | Deleted;

/** A recalled chat in a quote; and itself, as far as a quote of it tells. */
const QUOTED = { state: 'recalled', content: '' };
const RECALLED: Change = { ...QUOTED, body: null, replyTo: null, mentions: null };

/** The higher one wins. Deletion is final, and so is a recall. */
const rank = (change?: Change): number =>
  !change ? -1 : change.state === 'deleted' ? Infinity : (change.state ? 1e15 : 0) + ((change as Chat).version || 0);

/** `complete`: no chat can have come or changed since it was saved. */
export const createChatLog = (saved: SavedLog | null, complete: boolean) => {
  /** By id, without duplicates. */
  let chats: readonly Chat[] = saved ? saved.chats : [];
  /** Whether the service has older ones. */
  let more = saved ? saved.hasMore : true;
  /** The conversation's version up to which nothing is missing. */
  let version = saved?.version ?? 0;
  /** Some of the last chats, and changes, may be missing. */
  let stale = !!saved && !complete;
  let loaded = false;
  let unsaved = false;
  /** For chats, and quotes of chats, that come later in an older state. */
  const changes = new Map<ChatId, Change>();
  let cleared: ChatId | 0 = 0;
  const oldest = (): ChatId | 0 => chats[0]?.id ?? 0;
  const newest = (): ChatId | 0 => lastOf(chats)?.id ?? 0;

  /** Keeps the newest ones. */
  const keep = (most: number): void => {
    if (chats.length <= most) return;
    chats = chats.slice(-most);
    more = true;
  };

  /** The chat as it is now, with its quote. */
  const now = (chat: Chat): Chat => {
    const change = changes.get(chat.id);
    const known: Chat = rank(change) > rank(chat) ? { ...chat, ...(change as Partial<Chat>) } : chat;
    const { replyTo } = known;
    return replyTo && !replyTo.state && changes.get(replyTo.id)?.state === 'recalled'
      ? { ...known, replyTo: { ...replyTo, ...QUOTED } }
      : known;
  };

  const put = (next: readonly Chat[]): void => {
    chats = next.map(now).filter(({ id }) => id > cleared && changes.get(id)?.state !== 'deleted');
    unsaved = true;
  };

  const learn = (id: ChatId, change: Change): void => {
    if (rank(change) <= rank(changes.get(id))) return;
    changes.set(id, change);
    put(chats);
  };

  /** Adds chats after `from`, and updates known ones. */
  const merge = (added: readonly Chat[], from: ChatId | 0 = 0): void => {
    for (const chat of added) {
      if (chat.state) learn(chat.id, chat);
      if (chat.replyTo?.state) learn(chat.replyTo.id, RECALLED);
    }
    const fresh = added.filter(({ id }) => id >= from);
    const last = newest();
    // The common case, a new chat at the end, needs no search through the list.
    if (fresh.every(({ id }) => id > last)) {
      if (fresh.length) put([...chats, ...fresh]);
      return;
    }
    const all = new Map(chats.map((chat) => [chat.id, chat]));
    let news = false;
    for (const chat of fresh.map(now)) {
      const known = all.get(chat.id);
      // The same version may have fresh URLs.
      if (known && (rank(chat) < rank(known) || toJson(chat) === toJson(known))) continue;
      all.set(chat.id, chat);
      news = true;
    }
    if (news) put([...all.values()].sort((a, b) => a.id - b.id));
  };

  return {
    all: () => chats,
    oldest,
    /** The newest page was merged since `open`. */
    loaded: () => loaded,
    /** Whether older chats can be loaded. */
    hasMore: () => more && chats.length < MOST_CHATS,
    /** The version from which it has to be repaired; null if nothing is missing. */
    missing: () => (stale ? version : null),

    /** The chats to store; null if nothing changed, or while some are missing. */
    take: (seq: number): SavedLog | null => {
      if (!unsaved || stale) return null;
      unsaved = false;
      return { chats, hasMore: more, seq, version };
    },

    /** It is not open any more. */
    close: (most: number): void => {
      keep(most);
      loaded = false;
    },

    /** A chat from the timeline, which has brought all earlier chats of this conversation. */
    add: (chat: Chat): void => {
      // Those before the oldest one come in pages.
      merge([chat], more ? oldest() : 0);
      if (chats.length > MOST_CHATS) keep(MOST_CHATS - DROP);
    },

    change: (change: Chat | Deleted): void => learn(change.id, change),

    /** Chats up to this one are gone for oneself. */
    clear: (upTo: ChatId | 0): void => {
      if (upTo <= cleared) return;
      cleared = upTo;
      put(chats);
      more &&= oldest() > 0;
    },

    /** What is new or has changed since `missing`. If that is not all, the newest page is loaded instead. */
    repair: (entries: readonly Chat[], hasMore: boolean, to: number): void => {
      stale = false;
      if (hasMore) {
        chats = [];
        more = true;
      } else {
        loaded = true;
        version = to;
        merge(entries, more ? oldest() : 0);
      }
      unsaved = true;
    },

    /**
     * The page before `before`, ignored if that is no longer the oldest chat. Or the newest page: it begins with what
     * there was at version `at`.
     */
    addPage: (entries: readonly Chat[], hasMore: boolean, before: ChatId | 0, at: number): void => {
      const first = entries[0]?.id ?? 0;
      if (before) {
        if (before !== oldest()) return;
        more = hasMore;
      } else {
        loaded = true;
        // It is ahead of the timeline, which will bring those in between.
        if (hasMore && oldest() && first > newest()) return;
        version = at;
        if (!oldest() || first <= oldest()) more = hasMore;
      }
      merge(entries);
    },
  };
};
