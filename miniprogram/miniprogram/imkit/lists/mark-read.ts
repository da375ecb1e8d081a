// Marks a conversation as read from the list, where its chats are not open.

import { ImError, type Conversation, type ImClient } from '../core/index';

/** Milliseconds that loading the newest chats may take. */
const PATIENCE_MS = 15_000;

/** Loads the newest chats, since a read mark is one of them. Rejects with `ImError`. */
export async function markRead(client: ImClient, { key, unread }: Conversation): Promise<void> {
  if (unread === 0) {
    await client.set(key, { markedUnread: false });
    return;
  }
  client.open(key);
  try {
    await loaded(client, () => client.chats(key).loaded);
    client.markRead(key);
  } finally {
    client.close(key);
  }
}

function loaded(client: ImClient, isLoaded: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    if (isLoaded()) {
      resolve();
      return;
    }
    const timer = setTimeout(() => {
      unsubscribe();
      reject(new ImError('network', 0, 0));
    }, PATIENCE_MS);
    const unsubscribe = client.subscribe(() => {
      if (!isLoaded()) return;
      clearTimeout(timer);
      unsubscribe();
      resolve();
    });
  });
}
