// <page-container>: what is in it is over the page, and going back closes it instead of the page.

import { addCloser, removeCloser } from '../closers';
import type { Part, Property, Setup } from './define';

export const pageContainerProperties: Record<string, Property> = {
  show: Boolean,
  duration: { type: Number, value: 300 },
  zIndex: { type: Number, value: 100 },
  overlay: { type: Boolean, value: true },
  position: { type: String, value: 'bottom' },
  round: Boolean,
  closeOnSlideDown: Boolean,
  overlayStyle: String,
  customStyle: String,
};

/** The one that is shown. */
let shown: Part | undefined;

export const pageContainer: Setup = (part, element, emit) => {
  let isOpen = false;
  element.hidden = true;
  const leave = () => {
    if (!isOpen) return;
    isOpen = false;
    shown = undefined;
    removeCloser(leave);
    element.hidden = true;
    for (const name of ['beforeleave', 'leave', 'afterleave']) emit(name, {});
  };
  const enter = () => {
    if (isOpen) return;
    // A page has one container.
    if (shown && shown !== part) throw new Error('page-container: another one is shown');
    isOpen = true;
    shown = part;
    addCloser(leave);
    element.hidden = false;
    for (const name of ['beforeenter', 'enter', 'afterenter']) emit(name, {});
  };
  return {
    // Not within the page's own `setData`.
    show: (value: boolean) => {
      queueMicrotask(value ? enter : leave);
    },
    zIndex: (value: number) => {
      element.style.zIndex = String(value);
    },
    removed: () => {
      if (!isOpen) return;
      isOpen = false;
      shown = undefined;
      removeCloser(leave);
    },
  };
};
