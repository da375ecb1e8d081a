// Finds people and conversations by a part of their name.

import { ImError, toUserId, type Conversation, type ImClient, type User } from '../core/index';
import type { Texts } from '../texts/zh';
import { titleOf } from './rows';

/** Milliseconds without a key before the service is asked. */
export const TYPING_PAUSE_MS = 250;

/** Whether the name contains the text, in any case and width of its letters. */
export function hasPart(name: string, text: string): boolean {
  const plain = (each: string) => each.normalize('NFKC').toLowerCase();
  return plain(name).includes(plain(text));
}

/** The loaded conversations whose name contains the text. */
export function findConversations(client: ImClient, text: string, say: Texts): readonly Conversation[] {
  return client.conversations().filter((each) => hasPart(titleOf(each, say), text));
}

/** The people of the loaded conversations, whoever wrote last first. */
export function knownPeople(client: ImClient): readonly User[] {
  return client.conversations().flatMap(({ peer }) => (peer && peer.id !== client.me.id ? [peer] : []));
}

/**
 * The people that the service finds; without a directory, the one with this id. Rejects with `ImError`.
 */
export async function findPeople(client: ImClient, text: string, hasDirectory: boolean): Promise<readonly User[]> {
  if (hasDirectory) return client.findUsers(text);
  const id = toUserId(text);
  if (id === null) return [];
  try {
    return [await client.user(id)];
  } catch (error) {
    // Without a directory the service does not show strangers: the first chat will show whether the user exists.
    if (error instanceof ImError && error.status === 404) return [{ id, name: String(id), avatarUrl: null }];
    throw error;
  }
}

/** The entries of both lists, each once. */
export function together<T extends { readonly id: number }>(first: readonly T[], more: readonly T[]): readonly T[] {
  const ids = new Set(first.map(({ id }) => id));
  return [...first, ...more.filter(({ id }) => !ids.has(id))];
}
