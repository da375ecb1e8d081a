// The platform's limit on calls: five a second, frames and requests together.

import { CALLS, WINDOW_MS } from './limits';
import type { Clock } from './platform';
import { createTimer } from './timer';

/** Counts calls, and wakes its owner when the next one may be made. */
export const createPace = (clock: Clock, wake: () => void) => {
  /** The times of the last calls, at most `CALLS`. */
  let times: number[] = [];
  const timer = createTimer(clock);
  let waking = Infinity;

  /** Wakes the owner at `time`, in ms since 1970, or earlier. */
  const wakeAt = (time: number): void => {
    if (waking <= time) return;
    waking = time;
    timer(time - clock.now(), () => {
      waking = Infinity;
      wake();
    });
  };

  /** Counts a call if it may be made now. If not, returns false, and the owner will be woken. */
  const take = (): boolean => {
    const now = clock.now();
    // A clock that was set back must not delay calls.
    times = times.filter((at) => at <= now && now - at < WINDOW_MS);
    if (times.length >= CALLS) {
      wakeAt((times[0] ?? now) + WINDOW_MS);
      return false;
    }
    times.push(now);
    return true;
  };

  return { wakeAt, take };
};
