// Use case: of a long conversation only the rows near the screen are drawn. Spacers stand for the others, and what is on
// the screen stays in its place while pages come and go.

import type { ChatItem } from '../../core/index';
import { setInBatches } from '../../lists/batches';
import { MOST_ROWS, type Page, type Pages } from '../../lists/pages';
import type { Chat } from './chat';
import { hold, type Anchor } from './hold';

/** Pixels above and below the screen that are drawn at least. */
const MARGIN_PX = 2000;

/** Pixels between the screen and the end of what is drawn, below which more is drawn, or older chats are loaded. */
export const EDGE_PX = 1500;

/** The height of a row that was never drawn. */
const USUAL_ROW_PX = 60;

/** Milliseconds after which the window is looked at again that has just moved. */
const AGAIN_MS = 150;

/** Moves of the window without a pause. */
const MOST_MOVES = 20;

interface Rect {
  readonly id: string;
  readonly top: number;
  readonly bottom: number;
  readonly height: number;
}

interface List extends Rect {
  readonly scrollTop: number;
}

/** What the phone has drawn. */
interface Seen {
  readonly list: List;
  /** By the page's id. */
  readonly pages: ReadonlyMap<number, Rect>;
}

/** A scroll position that differs from the last one that was set: otherwise the list would not scroll. */
export function position(chat: Chat, top: number): { scrollTop: number } {
  return { scrollTop: top === chat.data.scrollTop ? top + 0.5 : top };
}

/** Draws the window, and `more` together with its last part. */
export function drawRows(chat: Chat, more: Record<string, unknown> = {}, drawn?: () => void): void {
  chat.data.isDrawDue = false;
  const { entries, last } = chat.pages().draw();
  const isAtEnd = chat.pages().isAtEnd();
  setInBatches(chat, entries, { ...last, ...more }, drawn);
  if (isAtEnd !== chat.data.isAtEnd) {
    chat.data.isAtEnd = isAtEnd;
    chat.see(chat.data.isEndSeen);
  }
}

/** Moves the window to where the screen is, until it is right. */
export function arrange(chat: Chat): void {
  if (chat.data.isArranging) {
    chat.data.isArrangeDue = true;
    return;
  }
  chat.data.isArranging = true;
  move(chat, MOST_MOVES);
}

function rest(chat: Chat): void {
  chat.data.isArranging = false;
  if (!chat.data.isArrangeDue) return;
  chat.data.isArrangeDue = false;
  arrange(chat);
}

function move(chat: Chat, left: number, isNudged = false): void {
  measure(chat, (seen) => {
    if (!seen) {
      if (chat.data.isDrawDue) drawRows(chat);
      rest(chat);
      return;
    }
    const list = chat.pages();
    for (const [id, { height }] of seen.pages) list.measured(id, height);
    if (holdAnchor(chat, seen)) {
      if (left > 0) move(chat, left - 1);
      else rest(chat);
      return;
    }
    const before = list.window();
    const { isFollowing } = chat.data.end;
    const next = windowFor(list, seen, isFollowing);
    if (next.from === before.from && next.to === before.to && !chat.data.isDrawDue) {
      chat.onEdge(seen.list.top - topOf(list, seen));
      rest(chat);
      return;
    }
    // At its very beginning a list is not anchored by the platform.
    if (seen.list.scrollTop < 1 && !isNudged && !isFollowing) {
      chat.setData(position(chat, 1), () => {
        move(chat, left, true);
      });
      return;
    }
    chat.data.anchor = anchorOf(list, seen, next);
    list.show(next.from, next.to);
    drawRows(chat, {}, () => {
      // What was drawn above has pushed the end off the screen.
      chat.onLayout();
      if (left > 0) {
        move(chat, left - 1);
        return;
      }
      rest(chat);
      clearTimeout(chat.data.arrangeTimer);
      chat.data.arrangeTimer = setTimeout(arrange, AGAIN_MS, chat);
    });
  });
}

/** Where the first drawn page begins on the screen. */
function topOf(list: Pages<ChatItem>, { pages, list: box }: Seen): number {
  const first = list.all()[list.window().from];
  return (first && pages.get(first.id)?.top) ?? box.top;
}

function measure(chat: Chat, then: (seen: Seen | null) => void): void {
  const query = chat.createSelectorQuery();
  query.select('#list').fields({ id: true, rect: true, size: true, scrollOffset: true });
  query.selectAll('.page').fields({ id: true, rect: true, size: true });
  query.exec((answer: unknown[]) => {
    const [list, pages] = answer as [List | null, Rect[]];
    // A list that is not on the screen has no height.
    if (!chat.data.isAlive || !list || list.height === 0) then(null);
    else then({ list, pages: new Map(pages.map((page) => [Number(page.id.slice('page'.length)), page])) });
  });
}

/** The pages that are to be drawn. */
export function windowFor(pages: Pages<ChatItem>, { list, pages: drawn }: Seen, isFollowing: boolean): { from: number; to: number } {
  const all = pages.all();
  const { from, to } = pages.window();
  const places = placesOf(all, from, to, drawn);
  if (!places) return { from, to };
  const bottom = places.findIndex((place) => place.top >= list.bottom);
  let needFrom = places.findIndex((place) => place.bottom > list.top);
  if (needFrom < 0) needFrom = all.length - 1;
  let needTo = isFollowing ? all.length : Math.max(needFrom + 1, bottom < 0 ? all.length : bottom);
  const heightOf = (page?: Page): number => (page ? page.height || page.count * USUAL_ROW_PX : 0);
  let room = MARGIN_PX - (list.top - (places[needFrom]?.top ?? 0));
  while (needFrom > 0 && room > 0) room -= heightOf(all[(needFrom -= 1)]);
  room = MARGIN_PX - ((places[needTo - 1]?.bottom ?? 0) - list.bottom);
  while (needTo < all.length && room > 0) room -= heightOf(all[(needTo += 1) - 1]);
  // A very large screen.
  while (needTo - needFrom > 1 && pages.rows(needFrom, needTo) > MOST_ROWS) {
    if (isFollowing) needFrom += 1;
    else needTo -= 1;
  }
  if (from <= needFrom && needTo <= to && pages.rows(from, to) <= MOST_ROWS) return { from, to };
  const isNear = needFrom <= to && from <= needTo;
  let [first, end] = isNear ? [Math.min(from, needFrom), Math.max(to, needTo)] : [needFrom, needTo];
  while (end - first > 1 && pages.rows(first, end) > MOST_ROWS) {
    const [above, below] = [needFrom - first, end - needTo];
    // With nothing to spare, what is far above goes while the list follows its end.
    if (above > below || (above === below && isFollowing)) first += 1;
    else end -= 1;
  }
  return { from: first, to: end };
}

/** Where the pages are on the screen, drawn or not. Null if those of the window are not there yet. */
function placesOf(
  all: readonly Page[],
  from: number,
  to: number,
  drawn: ReadonlyMap<number, Rect>,
): { top: number; bottom: number }[] | null {
  const places = all.slice(from, to).map(({ id }) => drawn.get(id));
  const known = places.flatMap((place) => (place ? [{ top: place.top, bottom: place.bottom }] : []));
  const [first, last] = [known[0], known[known.length - 1]];
  if (!first || !last || known.length < places.length) return null;
  const above: { top: number; bottom: number }[] = [];
  let edge = first.top;
  for (const { height } of all.slice(0, from).reverse()) {
    above.push({ top: edge - height, bottom: edge });
    edge -= height;
  }
  edge = last.bottom;
  const below = all.slice(to).map(({ height }) => {
    edge += height;
    return { top: edge - height, bottom: edge };
  });
  return [...above.reverse(), ...known, ...below];
}

/** The last page that stays. Of the only one its end counts: the time above its first chat may go. */
function anchorOf(list: Pages<ChatItem>, seen: Seen, next: { from: number; to: number }): Anchor | null {
  const { from, to } = list.window();
  const at = Math.min(to, next.to) - 1;
  const page = list.all()[at];
  const rect = page && at >= next.from ? seen.pages.get(page.id) : undefined;
  if (!page || !rect) return null;
  const side = at === from ? 'bottom' : 'top';
  return { id: page.id, side, at: rect[side], scrollTop: seen.list.scrollTop };
}

/** Scrolls to where the anchor is now, if the platform did not do so by itself. True if it had to. */
function holdAnchor(chat: Chat, { list, pages }: Seen): boolean {
  const { anchor, isAnchored } = chat.data;
  chat.data.anchor = null;
  const rect = anchor && pages.get(anchor.id);
  if (!anchor || !rect || chat.data.end.isFollowing) return false;
  const held = hold(anchor, rect, list, isAnchored);
  chat.data.isAnchored = held.isAnchored;
  if (held.pixels !== 0) chat.setData(position(chat, list.scrollTop + held.pixels));
  return held.pixels !== 0;
}

/** Has this row drawn, then calls `then`. False if there is no such row. */
export function showRow(chat: Chat, key: string, then: () => void): boolean {
  const list = chat.pages();
  const index = list.items().findIndex((item) => item.key === key);
  if (index < 0) return false;
  list.showRow(index);
  chat.data.anchor = null;
  drawRows(chat, {}, then);
  return true;
}
