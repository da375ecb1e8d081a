// Mentioning people of a group while a chat is written.

import type { ImClient, GroupKey, Mentions, UserId } from '../../core/index';
import type { PickRow } from '../pick-sheet/row';

/** Somebody whose name was put into the field. */
export interface Mention {
  readonly id: UserId | 'all';
  readonly name: string;
}

/** Whether the character before the cursor is an `@` that calls somebody, and not one within a mail address. */
export function isCall(text: string, cursor: number): boolean {
  return text[cursor - 1] === '@' && !/[\w.]/.test(text[cursor - 2] ?? '');
}

/** Whom the words still mention. */
export function mentionsIn(text: string, chosen: readonly Mention[]): Mentions {
  const named = chosen.filter(({ name }) => text.includes(`@${name}`));
  if (named.some(({ id }) => id === 'all')) return 'all';
  const ids = named.flatMap(({ id }) => (id === 'all' ? [] : [id]));
  return ids.length > 0 ? [...new Set(ids)] : null;
}

/**
 * What is left, without the mention, if the last key has taken the space after a whole one: a name goes at once, as in
 * WeChat. Null for any other change.
 */
export function withoutMention(
  before: string,
  text: string,
  cursor: number,
  chosen: readonly Mention[],
): { readonly text: string; readonly cursor: number } | null {
  if (before.slice(0, cursor) + before.slice(cursor + 1) !== text || before.length === text.length) return null;
  const mention = chosen.find(({ name }) => before.slice(0, cursor + 1).endsWith(`@${name} `));
  if (!mention) return null;
  const start = cursor - mention.name.length - 1;
  return { text: text.slice(0, start) + text.slice(cursor), cursor: start };
}

/** A page of members. */
export interface MemberRows {
  readonly rows: readonly PickRow[];
  /** After whom the next page begins; null if this is the last one. */
  readonly after: UserId | null;
}

/**
 * The members after this one, without oneself. The owner and admins can also call everybody, by the name `everyone`.
 * Rejects with `ImError`.
 */
export async function memberRows(
  client: ImClient,
  group: GroupKey,
  everyone: string,
  after?: UserId,
): Promise<MemberRows> {
  const { members, hasMore } = await client.members(group, after);
  const role = client.conversation(group)?.role;
  const isFirst = after === undefined && (role === 'owner' || role === 'admin');
  const all: PickRow = { key: 'all', name: everyone, avatarUrl: '', hue: 1 };
  const others = members.filter(({ user }) => user.id !== client.me.id);
  const rows = others.map(({ user }) => ({
    key: String(user.id),
    name: user.name,
    avatarUrl: user.avatarUrl ?? '',
    hue: user.id,
  }));
  return { rows: isFirst ? [all, ...rows] : rows, after: hasMore ? (members[members.length - 1]?.user.id ?? null) : null };
}

/** Who was chosen. */
export function mentionOf({ key, name }: PickRow): Mention {
  return { id: key === 'all' ? 'all' : (Number(key) as UserId), name };
}
