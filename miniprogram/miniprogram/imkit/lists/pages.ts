// A long list as pages of rows, of which only those near the screen are drawn: the window. Knows neither `wx` nor where
// the screen is; `window.ts` beside the component does.

import { bytesOf, changedFields, type Entry } from './batches';

/** Maximum rows that are drawn. */
export const MOST_ROWS = 200;

/** Rows of a full page, and the bytes that it has at most: it is set by one path. */
const PAGE_ROWS = 25;
const PAGE_BYTES = 48_000;

/** Rows that are drawn of a list that was just opened. */
const FIRST_ROWS = 60;

interface Drawn<Item> {
  readonly item: Item;
  readonly previous: Item | undefined;
  readonly row: object;
}

export interface Page {
  readonly id: number;
  /** How many rows it has. */
  readonly count: number;
  /** In pixels, when it was last drawn; 0 before that. */
  readonly height: number;
}

interface OnePage<Item> extends Page {
  count: number;
  height: number;
  bytes: number;
  /** Its place in the data; -1 while it is not drawn. */
  slot: number;
  drawn: readonly Drawn<Item>[];
}

/** What `setData` gets: `entries` change what is drawn or is not drawn yet, `last` what is in the window, at once. */
export interface Drawing {
  readonly entries: readonly Entry[];
  readonly last: Record<string, unknown>;
}

export type Pages<Item extends { readonly key: string }> = ReturnType<typeof createPages<Item>>;

/** `render` makes the row at an index; it may depend on the item before. */
export function createPages<Item extends { readonly key: string }>(
  render: (items: readonly Item[], index: number) => object,
) {
  let items: readonly Item[] = [];
  const pages: OnePage<Item>[] = [];
  /** The window: the pages from the first index up to the second one, which is not in it. */
  let from = 0;
  let to = 0;
  let nextId = 0;
  const free: number[] = [];
  let slots = 0;
  /** What is drawn of the window. */
  let order = '';
  let spacers = '';

  const rowsOf = (first: number, end: number): number => pages.slice(first, end).reduce((sum, { count }) => sum + count, 0);
  const heightOf = (first: number, end: number): number => pages.slice(first, end).reduce((sum, { height }) => sum + height, 0);
  const sizeOf = (index: number): number => bytesOf(render(items, index)) + 1;

  /** New pages for `count` rows from `index` on; full ones at the end that is `backwards` or not. */
  const cut = (index: number, count: number, backwards: boolean): OnePage<Item>[] => {
    const made: OnePage<Item>[] = [];
    let page: OnePage<Item> | null = null;
    for (let step = 0; step < count; step++) {
      const size = sizeOf(backwards ? index + count - 1 - step : index + step);
      if (!page || page.count === PAGE_ROWS || page.bytes + size > PAGE_BYTES) {
        page = { id: (nextId += 1), count: 0, height: 0, bytes: 0, slot: -1, drawn: [] };
        made.push(page);
      }
      page.count += 1;
      page.bytes += size;
    }
    return backwards ? made.reverse() : made;
  };

  const release = (page: OnePage<Item>, last: Record<string, unknown>): void => {
    if (page.slot < 0) return;
    free.push(page.slot);
    last[`pages[${page.slot}]`] = [];
    page.slot = -1;
    page.drawn = [];
  };
  /** Pages that are gone, but are drawn yet. */
  const gone: OnePage<Item>[] = [];

  /** Replaces pages, and keeps the others in the window. */
  const exchange = (at: number, count: number, made: OnePage<Item>[]): void => {
    gone.push(...pages.splice(at, count, ...made));
    const shift = made.length - count;
    if (at < from) from = Math.max(at, from + shift);
    if (at < to) to = Math.max(from, to + shift);
  };

  /** The page with this row, and the index of its first row. */
  const find = (index: number): [at: number, first: number] => {
    let first = 0;
    let at = 0;
    for (let page = pages[at]; page && at < pages.length - 1 && first + page.count <= index; page = pages[at]) {
      first += page.count;
      at += 1;
    }
    return [at, first];
  };

  const remove = (index: number, count: number): void => {
    for (let left = count; left > 0; ) {
      const [at, first] = find(index);
      const page = pages[at];
      if (!page) return;
      const taken = Math.min(left, page.count - (index - first));
      page.count -= taken;
      left -= taken;
      if (page.count === 0) exchange(at, 1, []);
    }
  };

  const showEnd = (): void => {
    to = pages.length;
    from = to;
    while (from > 0 && (from === to || rowsOf(from - 1, to) <= FIRST_ROWS)) from -= 1;
  };

  const append = (index: number, count: number): void => {
    const wasAtEnd = to === pages.length;
    const page = pages[pages.length - 1];
    let added = 0;
    while (page && added < count && page.count < PAGE_ROWS && !(wasAtEnd && rowsOf(from, to) >= MOST_ROWS)) {
      const size = sizeOf(index + added);
      if (page.bytes + size > PAGE_BYTES) break;
      page.count += 1;
      page.bytes += size;
      added += 1;
    }
    pages.push(...cut(index + added, count - added, false));
    // What the reader looks at may be at the start of the window, so nothing leaves it.
    while (wasAtEnd && to < pages.length && rowsOf(from, to + 1) <= MOST_ROWS) to += 1;
  };

  const insert = (index: number, count: number): void => {
    const [at, first] = find(index - 1);
    const page = pages[at];
    if (!page) return;
    page.count += count;
    for (let row = index; row < index + count; row++) page.bytes += sizeOf(row);
    if (page.count > 2 * PAGE_ROWS || page.bytes > PAGE_BYTES) exchange(at, 1, cut(first, page.count, false));
  };

  /** Takes a list that differs in one place. */
  const step = (next: readonly Item[]): void => {
    const before = items;
    items = next;
    const shift = next.length - before.length;
    const least = Math.min(before.length, next.length);
    let index = 0;
    while (index < least && next[index]?.key === before[index]?.key) index += 1;
    let end = 0;
    while (end < least - index && next[next.length - 1 - end]?.key === before[before.length - 1 - end]?.key) end += 1;
    const removed = before.length - index - end;
    const inserted = removed + shift;
    remove(index, removed);
    if (inserted > 0) {
      if (pages.length === 0) {
        pages.push(...cut(0, inserted, true));
        showEnd();
      } else if (index === 0) {
        const made = cut(0, inserted, true);
        pages.unshift(...made);
        from += made.length;
        to += made.length;
      } else if (end === 0) append(index, inserted);
      else insert(index, inserted);
    }
    // All that was in it may be gone.
    if (from >= to && pages.length > 0) showEnd();
  };

  return {
    /**
     * Takes the list as it is now. What is older than all before is not in the window: `show` draws it. Returns whether
     * there is any.
     */
    take(next: readonly Item[]): boolean {
      const older = next.findIndex(({ key }) => key === items[0]?.key);
      const dropped = items.findIndex(({ key }) => key === next[0]?.key);
      // One end after the other: what changes at both would leave nothing in its place.
      if (older > 0) step(next.slice(older));
      if (dropped > 0) step(items.slice(dropped));
      step(next);
      return older > 0;
    },

    items: () => items,
    all: (): readonly Page[] => pages,
    window: () => ({ from, to }),
    isAtStart: () => from === 0,
    isAtEnd: () => to === pages.length,
    rows: rowsOf,

    /** How high a page is that is drawn. */
    measured(id: number, height: number): void {
      const page = pages.find((each) => each.id === id);
      if (page && height > 0) page.height = height;
    },

    /** The window is to have these pages. */
    show(first: number, end: number): void {
      from = first;
      to = end;
    },

    /** The window is to have the end of the list, and what fits of the pages that it has. */
    showEnd(): void {
      if (rowsOf(to, pages.length) > FIRST_ROWS) showEnd();
      to = pages.length;
      while (from < to - 1 && rowsOf(from, to) > MOST_ROWS) from += 1;
    },

    /** The window is to have this row, with its neighbours. */
    showRow(index: number): void {
      const [at] = find(index);
      if (at >= from && at < to) return;
      from = Math.max(0, at - 1);
      to = Math.min(pages.length, at + 2);
    },

    /** Draws all anew: the component forgot, or the texts changed. */
    forget(): void {
      for (const page of pages) page.drawn = page.drawn.map(({ row, item }) => ({ row, item, previous: item }));
    },

    /** What turns what is drawn into the window. */
    draw(): Drawing {
      const entries: Entry[] = [];
      const last: Record<string, unknown> = {};
      let first = rowsOf(0, from);
      for (const page of pages.slice(from, to)) {
        const start = first;
        first += page.count;
        const old = page.drawn;
        const now = items.slice(start, first).map((item, at): Drawn<Item> => {
          const [known, previous] = [old[at], items[start + at - 1]];
          if (known?.item === item && known.previous === previous) return known;
          return { item, previous, row: render(items, start + at) };
        });
        page.drawn = now;
        const isKept = old.length <= now.length && old.every(({ item }, at) => item.key === now[at]?.item.key);
        if (page.slot < 0 || !isKept) {
          if (page.slot < 0) {
            page.slot = free.pop() ?? slots;
            slots = Math.max(slots, page.slot + 1);
          }
          entries.push([`pages[${page.slot}]`, now.map(({ row }) => row)]);
          continue;
        }
        for (const [at, each] of now.entries()) {
          const path = `pages[${page.slot}][${at}]`;
          const known = old[at];
          if (!known) entries.push([path, each.row]);
          else if (known !== each) entries.push(...changedFields(path, known.row, each.row));
        }
      }
      for (const page of [...gone.splice(0), ...pages.slice(0, from), ...pages.slice(to)]) release(page, last);
      const shown = pages.slice(from, to).map(({ id, slot }) => ({ id, slot }));
      const [above, below] = [heightOf(0, from), heightOf(to, pages.length)];
      if (JSON.stringify(shown) !== order) last['order'] = shown;
      if (`${above} ${below}` !== spacers) Object.assign(last, { above, below });
      order = JSON.stringify(shown);
      spacers = `${above} ${below}`;
      return { entries, last };
    },
  };
}
