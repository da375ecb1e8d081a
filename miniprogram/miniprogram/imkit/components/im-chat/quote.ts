// Quoting a chat, and finding a chat further up: loads older ones until it is there.

import type { ChatId, ChatItem, ConversationKey, ImClient, Quote } from '../../core/index';

/** Maximum characters of a quote, as the service has it. */
const MAX_QUOTED = 100;

/** Milliseconds to wait for what a load has brought. */
const SETTLE_MS = 1000;

/** What a chat looks like when it is quoted. Null if the service does not have it yet. */
export function quoteOf({ id, userId, userName, kind, content, recalled }: ChatItem): Quote | null {
  if (id === null || recalled) return null;
  return { id, userId, userName, kind, content: Array.from(content).slice(0, MAX_QUOTED).join(''), state: null };
}

/**
 * The key of the first chat that fits, after loading at most `pages` pages of older ones until `isEnough` says that it
 * cannot be further up. Null if there is none. Rejects with `ImError`.
 */
export async function reach(
  client: ImClient,
  conversation: ConversationKey,
  pages: number,
  fits: (item: ChatItem) => boolean,
  isEnough: (oldest: ChatId) => boolean,
): Promise<string | null> {
  for (let left = pages; ; left -= 1) {
    const { items, hasMore } = client.chats(conversation);
    const oldest = items.find(({ id }) => id !== null)?.id ?? null;
    if (left === 0 || !hasMore || oldest === null || isEnough(oldest)) return items.find(fits)?.key ?? null;
    await older(client, conversation);
  }
}

/** Loads a page, and waits until it is shown. */
async function older(client: ImClient, conversation: ConversationKey): Promise<void> {
  let stop = () => {
    // Replaced at once.
  };
  const changed = new Promise<void>((resolve) => {
    const unsubscribe = client.subscribe(({ chats }) => {
      if (chats.has(conversation)) resolve();
    });
    // Another load may be running, which brings no more.
    const timer = setTimeout(resolve, SETTLE_MS);
    stop = () => {
      unsubscribe();
      clearTimeout(timer);
    };
  });
  try {
    await client.loadOlder(conversation);
    await changed;
  } finally {
    stop();
  }
}
