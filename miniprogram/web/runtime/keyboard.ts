// A pretended keyboard, for tests: what a phone's does, and the order in which WeChat tells of it.

import { KEYBOARD_PX } from './like';

/** Milliseconds that a keyboard takes to come or to go. */
const MOVE_MS = 100;

type Emit = (name: string, detail: unknown) => void;

const drawn = document.createElement('div');
drawn.className = 'mp-keyboard';
drawn.style.height = `${KEYBOARD_PX}px`;

/** The field that has the focus. */
let focused: Emit | undefined;
let timer: ReturnType<typeof setTimeout> | undefined;

function move(emit: Emit, height: number): void {
  clearTimeout(timer);
  if (KEYBOARD_PX === 0) return;
  timer = setTimeout(() => {
    if (height > 0) document.getElementById('mp')?.append(drawn);
    else drawn.remove();
    emit('keyboardheightchange', { height, duration: MOVE_MS / 1000 });
  }, MOVE_MS);
}

/** Events go out later, as on a phone, and not within a page's own `setData`. */
export function focus(emit: Emit, value: string): void {
  focused = emit;
  queueMicrotask(() => {
    // It has lost it already: a page that follows both events would go back and forth for ever.
    if (focused !== emit) return;
    emit('focus', { value, height: KEYBOARD_PX });
    move(emit, KEYBOARD_PX);
  });
}

export function blur(emit: Emit, value: string, cursor: number | null): void {
  if (focused === emit) focused = undefined;
  queueMicrotask(() => {
    if (focused === emit) return;
    emit('blur', { value, cursor });
    // From one field to the next the keyboard stays.
    if (!focused) move(emit, 0);
  });
}
