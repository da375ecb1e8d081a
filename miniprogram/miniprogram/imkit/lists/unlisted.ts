// Conversations that the client does not list although something unsent is in them: with somebody new, as long as the
// first chat waits or was refused, or hidden ones. What is remembered of each is its name and picture.

import type { ChatItem, Conversation, ConversationKey, ImClient, UserId } from '../core/index';
import { platform } from '../platform';

interface Unlisted {
  readonly key: ConversationKey;
  readonly name: string;
  readonly avatarUrl: string | null;
}

/** One's own, of this account. */
function place(client: ImClient): string {
  return `unlisted|${client.me.id}`;
}

function remembered(client: ImClient): readonly Unlisted[] {
  const text = platform.storage.get(place(client));
  return text === undefined ? [] : (JSON.parse(text) as Unlisted[]);
}

function save(client: ImClient, all: readonly Unlisted[]): void {
  try {
    if (all.length > 0) platform.storage.set(place(client), JSON.stringify(all));
    else platform.storage.remove(place(client));
  } catch {
    // Without room the list lacks a row; the chat itself is safe.
  }
}

function isListed(client: ImClient, key: ConversationKey): boolean {
  return client.conversations().some((each) => each.key === key);
}

/** The newest unsent chat of an open conversation. */
function unsentOf(client: ImClient, key: ConversationKey): ChatItem | null {
  const { items } = client.chats(key);
  const last = items[items.length - 1];
  return last && last.status !== 'sent' ? last : null;
}

/** Remembers an open conversation, if something unsent is in it and no list has it. */
export function remember(client: ImClient, key: ConversationKey, name: string, avatarUrl: string | null): void {
  if (isListed(client, key) || !unsentOf(client, key)) return;
  const others = remembered(client).filter((each) => each.key !== key);
  save(client, [...others, { key, name, avatarUrl }]);
}

/** Follows the remembered conversations, until `close`. */
export function openUnlisted(client: ImClient) {
  const open = new Set<ConversationKey>();
  const close = (key: ConversationKey) => {
    if (open.delete(key)) client.close(key);
  };
  return {
    /** Rows for those of which something is still unsent; the others are forgotten. */
    rows: (): readonly Conversation[] => {
      const all = remembered(client);
      const rows = all.flatMap(({ key, name, avatarUrl }) => {
        if (!open.has(key)) {
          open.add(key);
          client.open(key);
        }
        const unsent = isListed(client, key) ? null : unsentOf(client, key);
        return unsent ? [rowOf(client, key, name, avatarUrl, unsent)] : [];
      });
      if (rows.length < all.length) {
        const kept = new Set(rows.map(({ key }) => key));
        for (const { key } of all) if (!kept.has(key)) close(key);
        save(client, all.filter(({ key }) => kept.has(key)));
      }
      return rows;
    },

    close: () => {
      for (const key of [...open]) close(key);
    },
  };
}

function rowOf(client: ImClient, key: ConversationKey, name: string, avatarUrl: string | null, unsent: ChatItem): Conversation {
  const known = client.conversation(key);
  if (known) return { ...known, unsent };
  return {
    key,
    id: 0 as Conversation['id'],
    kind: 'direct',
    peer: { id: key as UserId, name, avatarUrl, online: false, lastSeenAt: null },
    title: name,
    avatarUrl,
    role: null,
    memberCount: 0,
    membersVersion: 0,
    left: false,
    lastChat: null,
    unread: 0,
    mentioned: false,
    readUpTo: 0,
    peerReadUpTo: 0,
    pinned: false,
    muted: false,
    markedUnread: false,
    draft: null,
    unsent,
  };
}
