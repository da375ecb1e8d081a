// What a finger holds, a key starts and ends: Enter or Space puts the finger down, and again lifts it; Escape cancels.

import { glassEasel } from 'glass-easel-miniprogram-adapter';

import { addCloser, removeCloser } from './closers';
import { hostOf, type Hosting } from './hosts';

const { Event } = glassEasel;

let held: HTMLElement | undefined;

/** Whether it is made to be held: it listens for the beginning and the end of a touch, but not for taps. */
export function isHeld(element: Hosting): boolean {
  const listeners = element.__wxElement?._$eventTarget?.listeners;
  return !!listeners?.touchstart && !!listeners.touchend && !listeners.tap;
}

function touch(element: HTMLElement, type: string, isOver: boolean): void {
  const host = hostOf(element);
  if (!host) return;
  const { x, y, width, height } = element.getBoundingClientRect();
  const [clientX, clientY] = [x + width / 2, y + height / 2];
  const points = [{ identifier: 0, clientX, clientY, pageX: clientX, pageY: clientY }];
  const extraFields = { touches: isOver ? [] : points, changedTouches: points };
  Event.dispatchEvent(host, new Event(type, {}, { bubbles: true, composed: true, capturePhase: true, extraFields }));
}

function end(type: 'touchend' | 'touchcancel'): void {
  const element = held;
  if (!element) return;
  held = undefined;
  removeCloser(cancel);
  element.removeEventListener('blur', cancel);
  touch(element, type, true);
}

function cancel(): void {
  end('touchcancel');
}

/** The key was pressed on such an element. */
export function pressHeld(element: HTMLElement): void {
  if (held === element) {
    end('touchend');
    return;
  }
  cancel();
  held = element;
  // Escape closes what was opened last.
  addCloser(cancel);
  element.addEventListener('blur', cancel);
  touch(element, 'touchstart', false);
}
