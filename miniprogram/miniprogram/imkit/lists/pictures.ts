// The pictures of a group's members, for the chats that they write.

import type { GroupKey, ImClient } from '../core/index';

/** The URLs by user id: of the first hundred members, who are enough for nearly all groups, and of known people. */
export async function picturesOf(client: ImClient, key: GroupKey): Promise<Record<number, string>> {
  const { members } = await client.members(key);
  const known = client.conversations().flatMap(({ peer }) => peer ?? []);
  const people = [...known, ...members.map(({ user }) => user)];
  return Object.fromEntries(people.flatMap(({ id, avatarUrl }) => (avatarUrl === null ? [] : [[id, avatarUrl]])));
}
