// Where the focus is. What is over the page holds it, with nothing behind in reach, and gives it back when it closes.
// What disappears leaves it to what is next to it, so that a keyboard goes on from there.

import { isByKey } from './last-input';

type Release = () => void;

const FIELDS = 'input:not([type="checkbox"]), textarea';

const FOCUSABLE = 'button:not([hidden]), [tabindex="0"]';

/** How many dialogs keep each element out of reach. */
const held = new Map<HTMLElement, number>();

function change(element: HTMLElement, by: 1 | -1): void {
  const count = (held.get(element) ?? 0) + by;
  element.inert = count > 0;
  if (count > 0) held.set(element, count);
  else held.delete(element);
}

/** All that is beside the element, and beside what is around it. */
function beside(element: HTMLElement): HTMLElement[] {
  const all: HTMLElement[] = [];
  for (let at = element; at.parentElement && at !== document.body; at = at.parentElement) {
    for (const each of at.parentElement.children) {
      // A toast says something without being in the way.
      if (each !== at && each instanceof HTMLElement && each.getAttribute('role') !== 'status') all.push(each);
    }
  }
  return all;
}

function isField(element: Element | null): boolean {
  return element?.matches(FIELDS) ?? false;
}

function focus(element: HTMLElement | null): void {
  element?.focus({ preventScroll: true });
}

/** Call it for an element with the role `menu` or `dialog` as it opens. The result gives the focus back. */
export function holdFocus(element: HTMLElement): Release {
  const [before, aroundBefore] = [document.activeElement, around];
  // At a menu, whoever writes goes on writing, and keeps the keyboard.
  if (element.getAttribute('role') === 'menu' && isField(before)) return () => undefined;
  let behind: HTMLElement[] = [];
  let isOpen = true;
  // What is in it is drawn later.
  queueMicrotask(() => {
    if (!isOpen) return;
    behind = beside(element);
    for (const each of behind) change(each, 1);
    if (!element.contains(document.activeElement)) focus(element.querySelector(FOCUSABLE));
  });
  return () => {
    isOpen = false;
    for (const each of behind) change(each, -1);
    const hasMoved = !isLost() && !element.contains(document.activeElement);
    if (hasMoved || !(before instanceof HTMLElement)) return;
    if (before.isConnected) {
      focus(before);
    } else {
      around = aroundBefore;
      recover();
    }
  };
}

/** Whether nothing has the focus, or something that nobody sees. */
export function isLost(): boolean {
  const { activeElement } = document;
  return !activeElement || activeElement === document.body || activeElement.closest('[hidden]') !== null;
}

/** What can have the focus: in this place, or the last before it. */
function nearest(home: Element, place: Element): HTMLElement | null {
  const all = [...home.querySelectorAll<HTMLElement>(FOCUSABLE)];
  const isBefore = (each: Element) => place.compareDocumentPosition(each) & Node.DOCUMENT_POSITION_PRECEDING;
  return all.find((each) => place.contains(each)) ?? all.filter(isBefore).at(-1) ?? all[0] ?? null;
}

/** The element with the focus, and what is around it in its page. */
let around: Element[] = [];

/** Gives the focus to what is next to the element that had it last, if that is gone. */
function recover(): void {
  const [last] = around;
  if (!last || last.isConnected || !isLost()) return;
  const place = around.find((each) => each.isConnected);
  const home = around.find((each) => each.isConnected && each.querySelector(FOCUSABLE));
  around = [];
  // A field that gets the focus would raise a phone's keyboard.
  if (place && home && isByKey()) focus(home.querySelector<HTMLElement>(FIELDS) ?? nearest(home, place));
}

/** Follows the focus, and catches it when its element is taken from the page. */
export function followFocus(host: HTMLElement): void {
  document.addEventListener('focusin', ({ target }) => {
    around = [];
    for (let at = target as Element | null; at && !at.matches('.mp-body'); at = at.parentElement) around.push(at);
  });
  new MutationObserver(recover).observe(host, { childList: true, subtree: true });
}
