// Makes taps and long presses from pointer events, as a phone does.

import { glassEasel } from 'glass-easel-miniprogram-adapter';

import type { Backend } from './backend';
import { isHeld, pressHeld } from './held-key';
import { hostOf, type Hosting } from './hosts';

const { Event } = glassEasel;

// The framework's `EventBubbleStatus`, an enum that its types do not export.
const NORMAL = 0 as unknown as glassEasel.EventBubbleStatus;
const NO_DEFAULT = 1 as unknown as glassEasel.EventBubbleStatus;

/** Milliseconds after which a touch is a long press. */
const LONG_PRESS_MS = 350;

/** Pixels that a finger may move during a tap. */
const TREMBLE_PX = 10;

/** The roles of what a keyboard presses. */
export const ACTED: ReadonlySet<string> = new Set(['button', 'menuitem', 'link', 'checkbox', 'radio', 'option']);

interface Touch {
  identifier: number;
  clientX: number;
  clientY: number;
  pageX: number;
  pageY: number;
}

export function touches(event: PointerEvent | MouseEvent): Touch[] {
  const { clientX, clientY, pageX, pageY } = event;
  return [{ identifier: 0, clientX, clientY, pageX, pageY }];
}

/** What a handler reads of an event, besides its type and detail. */
function fields(event: MouseEvent | TouchEvent): Record<string, unknown> {
  if ('touches' in event) return { touches: [...event.touches], changedTouches: [...event.changedTouches] };
  return 'clientX' in event ? { touches: touches(event), changedTouches: touches(event) } : {};
}

let tapping = false;

/** Whether a tap is being handled: some functions of `wx` may be called only then. */
export function isTapping(): boolean {
  return tapping;
}

/** Dispatches an event; a tap is one until its handlers have returned. */
function dispatch(target: glassEasel.Element, event: glassEasel.Event<unknown>): void {
  tapping = event.getEventName() === 'tap';
  try {
    Event.dispatchEvent(target, event);
  } finally {
    tapping = false;
  }
}

/** Whether this element, or one around it, listens for long presses. */
function listensForPress(node: Hosting | null): boolean {
  for (let at = node; at; at = at.parentNode as Hosting | null) {
    if (at.__wxElement?._$eventTarget?.listeners?.longpress) return true;
  }
  return false;
}

/** Arrows go from one choice of a menu to the next. */
function moveInMenu(from: HTMLElement, key: string): void {
  const all = [...(from.closest('[role=menu]')?.querySelectorAll<HTMLElement>('[role=menuitem]') ?? [])];
  const at = all.indexOf(from);
  if (at < 0) return;
  const by = key === 'ArrowRight' || key === 'ArrowDown' ? 1 : -1;
  all[(at + by + all.length) % all.length]?.focus();
}

export function listenToGestures(backend: Backend): void {
  let isLongPressed = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let start: PointerEvent | undefined;

  backend.onEvent((target, type, detail, options) => {
    const original = (options as { originalEvent?: MouseEvent }).originalEvent;
    const isDead = original?.target instanceof Element && original.target.closest('wx-button[disabled]');
    if (type === 'tap' && (isLongPressed || isDead)) return NORMAL;
    const extra = original ? fields(original) : {};
    const event = new Event(type, detail, { ...options, extraFields: extra });
    dispatch(target, event);
    return event.defaultPrevented() ? NO_DEFAULT : NORMAL;
  });

  // Clicks without a pointer, from a keyboard or a screen reader.
  document.addEventListener('keydown', (event) => {
    const { target, key } = event;
    if (key.startsWith('Arrow') && target instanceof HTMLElement) moveInMenu(target, key);
    if (key !== 'Enter' && key !== ' ') return;
    if (!(target instanceof HTMLElement)) return;
    const isButton = ACTED.has(target.getAttribute('role') ?? '');
    if (!isButton && !(target as Hosting).__wxElement?._$eventTarget?.listeners?.longpress) return;
    event.preventDefault();
    if (isButton && isHeld(target)) {
      if (!event.repeat) pressHeld(target);
    } else if (isButton) target.click();
    // What has only a long press is asked for its menu.
    else target.dispatchEvent(new MouseEvent('contextmenu', { bubbles: true, cancelable: true }));
  });
  document.addEventListener('click', (event) => {
    const host = event.detail === 0 ? hostOf(event.target as Hosting | null) : undefined;
    if (!host || (event.target as Element).closest('wx-button[disabled]')) return;
    const detail = { x: event.clientX, y: event.clientY };
    dispatch(host, new Event('tap', detail, { bubbles: true, composed: true, capturePhase: true }));
  });

  const press = (event: MouseEvent) => {
    const node = event.target as Hosting | null;
    const host = hostOf(node);
    if (!host) return;
    // A long press replaces the tap only if something listens for it.
    if (listensForPress(node)) isLongPressed = true;
    const detail = { x: event.clientX, y: event.clientY };
    const points = touches(event);
    const options = { originalEvent: event, bubbles: true, composed: true, capturePhase: true };
    const extraFields = { touches: points, changedTouches: points };
    Event.dispatchEvent(host, new Event('longpress', detail, { ...options, extraFields }));
  };
  const cancel = () => {
    clearTimeout(timer);
    timer = undefined;
  };
  document.addEventListener(
    'pointerdown',
    (event) => {
      isLongPressed = false;
      start = event;
      cancel();
      // The other buttons of a mouse have a menu at once.
      if (event.button !== 0) return;
      timer = setTimeout(() => {
        timer = undefined;
        press(event);
      }, LONG_PRESS_MS);
    },
    true,
  );
  document.addEventListener(
    'pointermove',
    (event) => {
      if (start && Math.hypot(event.clientX - start.clientX, event.clientY - start.clientY) > TREMBLE_PX)
        cancel();
    },
    true,
  );
  document.addEventListener(
    'pointerup',
    (event) => {
      // A page that was busy may hear of both ends of a long press at once, before its timer runs.
      const down = timer === undefined ? undefined : start;
      cancel();
      if (down && event.timeStamp - down.timeStamp >= LONG_PRESS_MS) press(down);
    },
    true,
  );
  document.addEventListener('pointercancel', cancel, true);
  document.addEventListener(
    'keydown',
    () => {
      isLongPressed = false;
    },
    true,
  );
  // On a long press, phones' browsers show a menu of their own over the page's. A mouse has its right button for a long
  // press, and a keyboard the key for menus: then the event is at the element with the focus.
  document.addEventListener('contextmenu', (event) => {
    if (!isLongPressed && listensForPress(event.target as Hosting | null)) press(event);
    // Nor is the end of this press a tap.
    if (isLongPressed) event.preventDefault();
  });
}
