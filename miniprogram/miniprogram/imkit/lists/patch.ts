// Turns a change of a short list into small calls of `setData`. A long one is drawn by pages: `pages.ts`.

import { bytesOf, changedFields, type Entry } from './batches';

/** Bytes of the rows that are set by one path. */
const MOST_BYTES = 48_000;

/** What turns the rendered rows at `path` into others. */
export function replace<T extends object>(path: string, before: readonly T[], after: readonly T[]): Entry[] {
  // A path cannot make a list shorter.
  const kept = after.length < before.length ? firstOf(after) : before;
  const cut: Entry[] = kept === before ? [] : [[path, kept]];
  const changes = after.flatMap((row, at): Entry[] => {
    const old = kept[at];
    if (old === row) return [];
    return old ? changedFields(`${path}[${at}]`, old, row) : [[`${path}[${at}]`, row]];
  });
  return [...cut, ...changes];
}

function firstOf<T>(rows: readonly T[]): readonly T[] {
  let bytes = 0;
  const end = rows.findIndex((row) => (bytes += bytesOf(row)) > MOST_BYTES);
  return end < 0 ? rows : rows.slice(0, end);
}
