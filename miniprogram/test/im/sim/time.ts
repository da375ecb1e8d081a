// Virtual time: no real waits, and the same seed gives the same order of events.

import type { Clock } from '../../../miniprogram/imkit/core/index';

interface Event {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
  cancelled: boolean;
}

/** More events in one `pass` mean an endless loop. */
const MOST_EVENTS = 100_000;

export class VirtualTime implements Clock {
  private time = Date.UTC(2026, 0, 1);
  private count = 0;
  /** A binary heap, with the next event first. */
  private readonly events: Event[] = [];

  now(): number {
    return this.time;
  }

  after(delayMs: number, run: () => void): () => void {
    const event: Event = { at: this.time + Math.max(0, delayMs), order: (this.count += 1), run, cancelled: false };
    this.push(event);
    return () => {
      event.cancelled = true;
    };
  }

  /** Lets this much time pass. */
  async pass(ms: number): Promise<void> {
    const end = this.time + ms;
    await settled();
    for (let count = 0; ; count += 1) {
      if (count > MOST_EVENTS) throw new Error('it never comes to rest');
      const next = this.events[0];
      if (!next || next.at > end) break;
      this.pop();
      if (next.cancelled) continue;
      this.time = next.at;
      next.run();
      await settled();
    }
    this.time = end;
  }

  private push(event: Event): void {
    const { events } = this;
    let at = events.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(event, events[parent]!)) break;
      events[at] = events[parent]!;
      at = parent;
    }
    events[at] = event;
  }

  private pop(): void {
    const { events } = this;
    const last = events.pop()!;
    if (events.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= events.length) break;
      if (child + 1 < events.length && before(events[child + 1]!, events[child]!)) child += 1;
      if (!before(events[child]!, last)) break;
      events[at] = events[child]!;
      at = child;
    }
    events[at] = last;
  }
}

function before(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** Lets all promises continue that can. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
