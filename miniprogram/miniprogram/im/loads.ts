// What has to be loaded over HTTP while there is a socket, until it is.

import { Backoff } from './backoff';
import { ImError } from './error';
import type { Clock } from './types';

/** A thing to load: the list, the chats of an open conversation, or a conversation's row. */
export type Load = 'list' | `chats:${number}` | `row:${number}`;

export class Loads {
  private readonly wanted = new Set<Load>();
  /** A batch under way; another object once its answers mean nothing. */
  private batch: object | null = null;
  private cancelRetry: () => void = () => undefined;
  private readonly backoff: Backoff;

  constructor(
    private readonly clock: Clock,
    random: () => number,
    private readonly load: (what: Load) => Promise<void>,
    /** Nothing is left to load. */
    private readonly done: () => void,
    private readonly failed: (error: ImError) => void,
  ) {
    this.backoff = new Backoff(random);
  }

  get idle(): boolean {
    return this.wanted.size === 0;
  }

  want(...loads: readonly Load[]): void {
    for (const load of loads) this.wanted.add(load);
  }

  /** Loads what is wanted, again and again until it is there or `stop` is called. */
  run(): void {
    if (this.batch) return;
    if (this.idle) {
      this.done();
      return;
    }
    const batch = (this.batch = {});
    const loads = [...this.wanted];
    this.wanted.clear();
    let wait = -1;
    const fail = (load: Load, error: unknown) => {
      this.wanted.add(load);
      if (this.batch !== batch || !(error instanceof ImError)) return;
      wait = Math.max(wait, error.retryAfterMs ?? 0);
      this.failed(error);
    };
    void Promise.all(loads.map((load) => this.load(load).catch((error: unknown) => { fail(load, error); }))).then(() => {
      if (this.batch !== batch) return;
      this.batch = null;
      if (wait < 0) {
        this.backoff.reset();
        this.run();
        return;
      }
      this.cancelRetry = this.clock.after(Math.max(wait, this.backoff.next()), () => {
        this.run();
      });
    });
  }

  /** What is under way is given up; it stays wanted. */
  stop(): void {
    this.batch = null;
    this.cancelRetry();
  }
}
