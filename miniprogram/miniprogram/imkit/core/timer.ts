// A timer that replaces its last timeout.

import type { Clock } from './platform';

/** Cancels the last timeout; then calls `run` once after `ms`, if it is given. */
export type Timer = (ms?: number, run?: () => void) => void;

export const createTimer = (clock: Clock): Timer => {
  let cancel: (() => void) | undefined;
  return (ms = 0, run) => {
    cancel?.();
    cancel = run && clock.after(ms, run);
  };
};
