// A timer of which at most one runs.

import type { Clock } from './types';

/** Calls `run` once after `ms`, in place of what was set before; without arguments, nothing any more. */
export type Timer = (ms?: number, run?: () => void) => void;

export const createTimer = (clock: Clock): Timer => {
  let cancel: (() => void) | undefined;
  return (ms = 0, run) => {
    cancel?.();
    cancel = run && clock.after(ms, run);
  };
};
