// The unread chats above the screen, when a conversation is opened.

import type { ChatId, ChatItem, ConversationKey, ImClient } from '../../core/index';
import { reach } from './quote';

/** What was unread when the conversation was opened. */
export interface Unread {
  /** 1 to 99; 100 means more. */
  readonly count: number;
  readonly readUpTo: ChatId | 0;
}

/** Pages to load at most: as many as 100 chats and one page more need. */
const MOST_PAGES = 4;

export function unreadOf(client: ImClient, key: ConversationKey): Unread | null {
  const known = client.conversation(key);
  return known && known.unread > 0 ? { count: known.unread, readUpTo: known.readUpTo } : null;
}

/** Whether a chat is one of the unread ones. */
export function isUnread({ id, mine, recalled, kind }: ChatItem, { readUpTo }: Unread): boolean {
  return id !== null && id > readUpTo && !mine && !recalled && kind !== 'system';
}

/** The key of the first unread chat, after loading as much as that needs. Null if it is gone. Rejects with `ImError`. */
export function reachUnread(client: ImClient, key: ConversationKey, unread: Unread): Promise<string | null> {
  return reach(client, key, MOST_PAGES, (item) => isUnread(item, unread), (oldest) => oldest <= unread.readUpTo);
}
