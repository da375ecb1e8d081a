// Makes touches from a mouse, as WeChat DevTools do.

import { glassEasel } from 'glass-easel-miniprogram-adapter';

import { touches } from './gestures';
import { hostOf, type Hosting } from './hosts';

const { Event } = glassEasel;

export function listenToMouse(): void {
  let held: Hosting['__wxElement'];
  const dispatch = (type: string, event: PointerEvent, isOver = false) => {
    if (!held) return;
    const points = touches(event);
    const options = { originalEvent: event, bubbles: true, composed: true, capturePhase: true };
    const extraFields = { touches: isOver ? [] : points, changedTouches: points };
    Event.dispatchEvent(held, new Event(type, {}, { ...options, extraFields }));
  };
  document.addEventListener('pointerdown', (event) => {
    if (event.pointerType !== 'mouse' || event.button !== 0) return;
    held = hostOf(event.target as Hosting | null);
    dispatch('touchstart', event);
  });
  document.addEventListener('pointermove', (event) => {
    dispatch('touchmove', event);
  });
  // A touch stays with its element, also when it ends elsewhere.
  for (const [from, type] of [
    ['pointerup', 'touchend'],
    ['pointercancel', 'touchcancel'],
  ] as const) {
    document.addEventListener(from, (event) => {
      dispatch(type, event, true);
      held = undefined;
    });
  }
}
