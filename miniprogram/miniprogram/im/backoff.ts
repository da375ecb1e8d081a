// How long to wait before the next attempt: full jitter, from 1 s to 30 s.

import type { Platform } from './types';

const FIRST_MS = 1000;
const MOST_MS = 30_000;

export function createBackoff(platform: Platform) {
  let bound = FIRST_MS;
  return {
    /** Milliseconds: a random part of a bound that doubles with each call. */
    next: (): number => {
      const wait = platform.random() * bound;
      bound = Math.min(bound * 2, MOST_MS);
      return wait;
    },
    reset: (): void => {
      bound = FIRST_MS;
    },
  };
}
