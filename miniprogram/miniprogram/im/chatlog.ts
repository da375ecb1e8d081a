// The chats of one conversation that are known: the newest ones, without a hole between them.

import type { ChatId } from './types';
import type { Chat, Page } from './wire';

/** The most that are kept of a conversation that is open; what is older is not shown. */
export const MOST_CHATS = 5000;
/** How many are dropped at once, so that this is rare. */
const DROP = 500;

/** What storage keeps of a conversation. */
export interface SavedLog {
  readonly chats: readonly Chat[];
  readonly hasMore: boolean;
  /** The cursor up to which nothing is missing. */
  readonly seq: number;
}

export class ChatLog {
  /** By id, without repeats. */
  chats: readonly Chat[] = [];
  /** Whether the service has older ones. */
  more = true;
  /** The newest page was merged since `open`. */
  loaded = false;
  /** Differs from what storage has. */
  unsaved = false;
  /**
   * After this chat some may be missing, until a page shows otherwise: a `reset` came, or what
   * storage had is from before the cursor.
   */
  private unsureAfter: ChatId | 0 = 0;

  /** Whether `loadOlder` would bring something. */
  get hasMore(): boolean {
    return this.more && this.chats.length < MOST_CHATS;
  }

  get oldest(): ChatId | 0 {
    return this.chats[0]?.id ?? 0;
  }

  get newest(): ChatId | 0 {
    return this.chats[this.chats.length - 1]?.id ?? 0;
  }

  /** Takes what storage had; `complete` if nothing can have come since. */
  restore(saved: SavedLog, complete: boolean): void {
    this.chats = saved.chats;
    this.more = saved.hasMore;
    if (!complete) this.unsure();
  }

  /** Some of what came last may be missing. */
  unsure(): void {
    this.unsureAfter = this.newest;
  }

  /** What is known belongs to a history that is no more. */
  clear(): void {
    this.chats = [];
    this.more = true;
    this.loaded = false;
    this.unsureAfter = 0;
    this.unsaved = false;
  }

  /** A chat that the timeline brought: all that came before it in this conversation have come too. */
  add(chat: Chat): void {
    this.merge([chat]);
    if (this.chats.length > MOST_CHATS) this.keep(MOST_CHATS - DROP);
  }

  /** A chat from any time: taken only if it leaves no hole. */
  addOld(chat: Chat): void {
    if (this.oldest === 0 ? this.loaded && !this.more : chat.id > this.oldest || !this.more) this.merge([chat]);
  }

  /** The newest page. */
  addNewest({ entries, hasMore }: Page<Chat>): void {
    const first = entries[0]?.id ?? 0;
    if (hasMore && this.unsureAfter > 0 && this.unsureAfter < first) {
      // Older ones than the page may be missing: what is before that hole would be shown out of place.
      this.chats = this.chats.filter(({ id }) => id > this.unsureAfter);
      this.more = true;
    }
    this.unsureAfter = 0;
    if (this.oldest === 0 || first <= this.oldest) this.more = hasMore;
    this.loaded = true;
    this.merge(entries);
  }

  /** The page before `before`. Nothing, if the list begins elsewhere by now. */
  addOlder(before: ChatId, { entries, hasMore }: Page<Chat>): void {
    if (before !== this.oldest) return;
    this.more = hasMore;
    this.merge(entries);
  }

  /** Keeps the newest ones. */
  keep(count: number): void {
    if (this.chats.length <= count) return;
    this.chats = this.chats.slice(-count);
    this.more = true;
  }

  private merge(added: readonly Chat[]): void {
    const { newest } = this;
    // The common case, a new chat at the end, must not cost what a long list costs.
    const known = added.every(({ id }) => id > newest) ? null : new Set(this.chats.map(({ id }) => id));
    const fresh = known ? added.filter(({ id }) => !known.has(id)) : added;
    if (fresh.length === 0) return;
    this.unsaved = true;
    const chats = [...this.chats, ...fresh];
    this.chats = known ? chats.sort((a, b) => a.id - b.id) : chats;
  }
}
