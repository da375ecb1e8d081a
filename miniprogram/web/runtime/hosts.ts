// Elements of the DOM, and the components behind them.

import type { glassEasel } from 'glass-easel-miniprogram-adapter';

/** An element of the DOM, and the component behind it. */
export interface Hosting extends Node {
  __wxElement?: glassEasel.Element & { _$eventTarget?: { listeners?: Record<string, unknown> } };
}

/** The component of an element. */
export function hostOf(node: Hosting | null): Hosting['__wxElement'] {
  let at = node;
  while (at && !at.__wxElement) at = at.parentNode;
  return at?.__wxElement;
}
