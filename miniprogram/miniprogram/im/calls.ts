// Everything that leaves the phone, one at a time in the order of urgency, within the platform's pace.

import { ImError } from './error';
import { request, type Call } from './http';
import { Pace } from './pace';
import type { Platform } from './types';

/** The most requests that wait. */
const MOST = 30;

interface Waiting {
  readonly call: Call;
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: ImError) => void;
}

/** What is to be sent now; when to ask again, in ms since 1970; or null: nothing before `pump` is called. */
export type Due = (() => void) | number | null;

export class Calls {
  private readonly pace: Pace;
  private readonly queue: Waiting[] = [];

  constructor(
    private readonly platform: Platform,
    private readonly server: string,
    private readonly token: () => string,
    /** The service does not take this token any more. */
    private readonly unauthorized: (token: string) => void,
    /** What the socket has to send before any request, and after all of them. */
    private readonly frames: { readonly first: () => Due; readonly last: () => Due },
  ) {
    this.pace = new Pace(platform.clock, () => {
      this.pump();
    });
  }

  /** Rejects with `ImError`; `too_many_calls` if too many wait. */
  request(call: Call): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.queue.length >= MOST) {
        reject(new ImError('too_many_calls', 0, 1000));
        return;
      }
      this.queue.push({ call, resolve, reject });
      this.pump();
    });
  }

  /** Sends what is due. */
  pump(): void {
    for (;;) {
      const due = this.next();
      if (typeof due === 'number') this.pace.wakeAt(due);
      if (typeof due !== 'function' || !this.pace.free()) return;
      this.pace.spend();
      due();
    }
  }

  /** Sends what is worth sending only now, if it does not make anything else wait. */
  tryNow(run: () => void): boolean {
    if (this.next() !== null || !this.pace.free()) return false;
    this.pace.spend();
    run();
    return true;
  }

  private next(): Due {
    const first = this.frames.first();
    if (first !== null) return first;
    const waiting = this.queue[0];
    if (!waiting) return this.frames.last();
    return () => {
      this.queue.shift();
      void this.run(waiting);
    };
  }

  private async run({ call, resolve, reject }: Waiting): Promise<void> {
    const token = this.token();
    try {
      resolve(await request(this.platform, this.server, { ...call, token }));
    } catch (error) {
      const known = error instanceof ImError ? error : new ImError('network', 0, 0);
      reject(known);
      if (known.status === 401) this.unauthorized(token);
    }
  }
}
