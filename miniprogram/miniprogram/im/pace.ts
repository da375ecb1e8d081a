// The platform's limit on calls: five a second, frames and requests together.

import type { Clock } from './types';

const CALLS = 5;
const WINDOW_MS = 1000;

/** Counts calls, and wakes its owner when the next one may be made. */
export class Pace {
  /** When the last calls were made; at most `CALLS` of them. */
  private times: number[] = [];
  private waking: { readonly time: number; readonly cancel: () => void } | null = null;

  constructor(
    private readonly clock: Clock,
    private readonly wake: () => void,
  ) {}

  /** Whether a call may be made now. If not, the owner will be woken. */
  free(): boolean {
    const now = this.clock.now();
    // A clock that was set back must not hold calls up.
    this.times = this.times.filter((at) => at <= now && now - at < WINDOW_MS);
    if (this.times.length < CALLS) return true;
    this.wakeAt((this.times[0] ?? now) + WINDOW_MS);
    return false;
  }

  /** A call is made now. */
  spend(): void {
    this.times.push(this.clock.now());
  }

  /** Wakes the owner at `time`, in ms since 1970, or before. */
  wakeAt(time: number): void {
    if (this.waking && this.waking.time <= time) return;
    this.waking?.cancel();
    const cancel = this.clock.after(Math.max(0, time - this.clock.now()), () => {
      this.waking = null;
      this.wake();
    });
    this.waking = { time, cancel };
  }
}
