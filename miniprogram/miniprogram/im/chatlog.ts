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
   * Up to this chat none is missing. What is after it came in a page that was ahead of the timeline,
   * which brings what is between.
   */
  private solid = 0;
  /**
   * The timeline will not bring what is between the first of these chats and what came after the
   * second: a `reset` came, or what storage had is from before the cursor. A page has to overlap.
   */
  private doubt: { readonly from: number; readonly to: number } | null = null;

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
    this.solid = this.newest;
    if (!complete) this.unsure();
  }

  /** Some of what came last may be missing. */
  unsure(): void {
    if (this.newest > 0) this.doubt = { from: this.doubt?.from ?? this.solid, to: this.newest };
  }

  /** What storage may keep; null while the end is in doubt. */
  saved(seq: number): SavedLog | null {
    if (this.doubt) return null;
    return { chats: this.chats.filter(({ id }) => id <= this.solid), hasMore: this.more, seq };
  }

  /** What is known belongs to a history that is no more. */
  clear(): void {
    this.chats = [];
    this.more = true;
    this.loaded = false;
    this.solid = 0;
    this.doubt = null;
    this.unsaved = false;
  }

  /** A chat that the timeline brought: all that came before it in this conversation have come too. */
  add(chat: Chat): void {
    const known = chat.id <= this.newest && this.chats.some(({ id }) => id === chat.id);
    // One that no page had: those after it, if there are any, begin behind a hole.
    this.solid = known ? Math.max(this.solid, chat.id) : chat.id;
    this.merge([chat]);
    if (this.chats.length > MOST_CHATS) this.keep(MOST_CHATS - DROP);
  }

  /** The newest page. */
  addNewest({ entries, hasMore }: Page<Chat>): void {
    const first = entries[0]?.id ?? 0;
    const { doubt } = this;
    if (hasMore && doubt && doubt.from < first) {
      // Older ones than the page may be missing: what is before that hole would be shown out of place.
      this.chats = this.chats.filter(({ id }) => id > doubt.to);
      this.more = true;
    }
    const last = entries[entries.length - 1]?.id ?? 0;
    if (!hasMore || this.oldest === 0 || first <= this.solid) this.solid = Math.max(this.solid, last);
    this.doubt = null;
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
