// Chats that one has taken back can be written again: their words are kept for a while, in memory only.

import type { ChatId, ChatItem, UserId } from '../../core/index';

/** Milliseconds for which the words are kept, as in WeChat. */
export const EDIT_MS = 5 * 60_000;

const kept = new Map<ChatId, { readonly words: string; readonly by: UserId; readonly until: number }>();

/** One's own text is about to lose its words. */
export function remember(me: UserId, { id, kind, mine, content }: ChatItem, now: number): void {
  if (id === null || kind !== 'text' || !mine) return;
  kept.set(id, { words: content, by: me, until: now + EDIT_MS });
}

/** What can be written again; null if it was too long ago, or on another phone. */
export function wordsOf(me: UserId, id: ChatId | null, now: number): string | null {
  for (const [old, { until }] of kept) if (until <= now) kept.delete(old);
  const found = id === null ? undefined : kept.get(id);
  return found?.by === me ? found.words : null;
}
