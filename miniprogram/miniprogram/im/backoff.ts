// How long to wait before the next attempt: full jitter, from 1 s to 30 s.

const FIRST_MS = 1000;
const MOST_MS = 30_000;

export class Backoff {
  private bound = FIRST_MS;

  constructor(private readonly random: () => number) {}

  /** Milliseconds: a random part of a bound that doubles with each call. */
  next(): number {
    const wait = this.random() * this.bound;
    this.bound = Math.min(this.bound * 2, MOST_MS);
    return wait;
  }

  reset(): void {
    this.bound = FIRST_MS;
  }
}
