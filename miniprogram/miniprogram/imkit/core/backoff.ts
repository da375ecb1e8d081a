// Waits between attempts: full jitter, with a bound from 1 s to 30 s.

import { FIRST_WAIT_MS, MOST_WAIT_MS } from './limits';
import type { Platform } from './platform';

export const createBackoff = (platform: Platform) => {
  let bound = FIRST_WAIT_MS;
  return {
    /** Milliseconds: a random part of a bound that doubles with each call. */
    next: (): number => {
      const wait = platform.random() * bound;
      bound = Math.min(bound * 2, MOST_WAIT_MS);
      return wait;
    },
    reset: (): void => {
      bound = FIRST_WAIT_MS;
    },
  };
};
