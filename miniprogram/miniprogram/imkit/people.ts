// Blocks people, and says what came of it.

import { attempt, confirm, tell } from './ask';
import type { ImClient, User, UserId } from './core/index';
import { texts } from './texts/index';

/** Whether one has blocked this user. Rejects with `ImError`. */
export async function isBlocked(client: ImClient, userId: UserId): Promise<boolean> {
  // The list is in ascending order of ids, and an id is at least 1.
  const { blocks } = await client.blocks((userId - 1) as UserId);
  return blocks[0]?.user.id === userId;
}

/** Asks, and blocks. False if the user cancels, or it fails. */
export async function block(client: ImClient, userId: UserId): Promise<boolean> {
  const { person: say } = texts();
  if (!(await confirm(say.blockQuestion)) || !(await attempt(client.block(userId)))) return false;
  tell(say.blocked);
  return true;
}

/** False if it fails. */
export async function unblock(client: ImClient, userId: UserId): Promise<boolean> {
  if (!(await attempt(client.unblock(userId)))) return false;
  tell(texts().person.unblocked);
  return true;
}

/** A page with a switch for it. */
interface Blocking {
  /** `hasDecided`: the switch has moved, so what is loaded comes too late. */
  data: { hasDecided: boolean };
  setData(data: { isBlocked: boolean }): void;
}

/** The switch of a page was moved. */
export async function switchBlock(page: Blocking, client: ImClient, userId: UserId, value: boolean): Promise<void> {
  page.data.hasDecided = true;
  // It has moved already: it moves back only if the page has had its value.
  page.setData({ isBlocked: value });
  if (!(await (value ? block(client, userId) : unblock(client, userId)))) page.setData({ isBlocked: !value });
}

/** The user, from the loaded conversations or the service. Rejects with `ImError`. */
export async function meet(client: ImClient, userId: UserId): Promise<User> {
  return client.conversation(userId)?.peer ?? (userId === client.me.id ? client.me : client.user(userId));
}
