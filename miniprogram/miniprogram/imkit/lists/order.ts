// The order in which the list shows conversations.

import type { Conversation } from '../core/index';

/** Pinned ones first, then by the newest chat, sent or not. `list` is in this order but for what is unsent. */
export function ordered(list: readonly Conversation[], unlisted: readonly Conversation[]): readonly Conversation[] {
  const rows = list.filter(({ unsent }) => !unsent);
  const waiting = [...unlisted, ...list.filter(({ unsent }) => unsent)];
  for (const each of waiting) {
    const at = rows.findIndex((row) => (row.pinned === each.pinned ? timeOf(row) <= timeOf(each) : each.pinned));
    rows.splice(at < 0 ? rows.length : at, 0, each);
  }
  return rows;
}

function timeOf({ lastChat, unsent }: Conversation): number {
  return Math.max(lastChat?.time ?? 0, unsent?.time ?? 0);
}
