// Turns a change of a list into a small `setData`.

import type { ListChange } from '../core/index';

/**
 * The argument of `setData` that updates the rendered list at `path`. `before` is its old length,
 * `after` its new length, `render` makes the row at an index. `neighbours` says that a row also
 * depends on the one before it.
 */
export function patch(
  path: string,
  change: ListChange,
  before: number,
  after: number,
  render: (index: number) => unknown,
  neighbours = false,
): Record<string, unknown> {
  const { index, removed, inserted } = change;
  const isAppended = removed === 0 && index === before;
  if (removed !== inserted && !isAppended) {
    return { [path]: Array.from({ length: after }, (_, at) => render(at)) };
  }
  const rows = new Set(change.changed);
  for (let at = index; at < index + inserted; at++) rows.add(at);
  if (neighbours) for (const at of [...rows]) rows.add(at + 1);
  const data: Record<string, unknown> = {};
  for (const at of rows) if (at < after) data[`${path}[${at}]`] = render(at);
  return data;
}

/** The argument of `setData` that turns the rendered rows at `path` into others, of which most are the same. */
export function replace(path: string, before: readonly object[], after: readonly object[]): Record<string, unknown> {
  if (after.length < before.length) return { [path]: after };
  const same = (one: object | undefined, other: object) => JSON.stringify(one) === JSON.stringify(other);
  const changed = after.flatMap((row, at) => (same(before[at], row) ? [] : [[`${path}[${at}]`, row] as const]));
  return Object.fromEntries(changed);
}
