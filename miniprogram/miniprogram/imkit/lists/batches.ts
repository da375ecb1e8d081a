// Cuts what is to be drawn into calls of `setData` that are small enough. WeChat refuses more than 1,024 KB, and is slow
// long before.

/** Maximum bytes of one call: 64 KB, less what the call itself adds. */
const MOST_BYTES = 60_000;

/** A path of `setData`, and its value. */
export type Entry = readonly [path: string, value: unknown];

/** The bytes of a value as JSON in UTF-8. */
export function bytesOf(value: unknown): number {
  const text = JSON.stringify(value) as string | undefined;
  if (text === undefined) return 0;
  let bytes = text.length;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    // Each half of a pair of surrogates is two bytes.
    if (unit > 0x7f) bytes += unit < 0x800 || (unit >= 0xd800 && unit < 0xe000) ? 1 : 2;
  }
  return bytes;
}

/** The arguments of `setData`, one after the other. `last` is set by the last one, all at once. */
export function batches(entries: readonly Entry[], last: Record<string, unknown> = {}): Record<string, unknown>[] {
  const all: Record<string, unknown>[] = [];
  let batch: Record<string, unknown> = {};
  let bytes = 0;
  const add = (more: Record<string, unknown>) => {
    const size = bytesOf(more);
    if (bytes > 0 && bytes + size > MOST_BYTES) {
      all.push(batch);
      batch = {};
      bytes = 0;
    }
    Object.assign(batch, more);
    bytes += size;
  };
  for (const [path, value] of entries) add({ [path]: value });
  add(last);
  all.push(batch);
  return all;
}

/** A component, as far as this draws on it. */
interface Drawing {
  setData(data: Record<string, unknown>, drawn?: () => void): void;
}

/** Sets it all; `drawn` is called after the last call. */
export function setInBatches(
  component: Drawing,
  entries: readonly Entry[],
  last: Record<string, unknown> = {},
  drawn?: () => void,
): void {
  const all = batches(entries, last);
  for (const [at, batch] of all.entries()) component.setData(batch, at === all.length - 1 ? drawn : undefined);
}

/** The entries that turn the rendered object at `path` into another one with the same fields. */
export function changedFields<T extends object>(path: string, before: T, after: T): Entry[] {
  return (Object.keys(after) as (keyof T & string)[]).flatMap((field) => {
    const [old, now] = [before[field], after[field]];
    const isSame = old === now || (typeof now === 'object' && JSON.stringify(old) === JSON.stringify(now));
    return isSame ? [] : [[`${path}.${field}`, now] as const];
  });
}
