// Queues everything that leaves the phone: sends the most urgent first, within the platform's rate.

import { ImError } from './error';
import { request, type Ask } from './http';
import { MOST_REQUESTS } from './limits';
import { createPace } from './pace';
import type { Platform } from './platform';

/** Sends something now; or when to ask again, in ms since 1970; or null: not before `pump` is called. */
export type Due = (() => void) | number | null;

export type Calls = ReturnType<typeof createCalls>;

export const createCalls = (
  platform: Platform,
  server: string,
  token: () => string,
  /** The service refused this token with 401. */
  unauthorized: (token: string) => void,
  /** What the socket sends before any request, and after all requests. */
  first: () => Due,
  last: () => Due,
) => {
  const queue: (() => void)[] = [];

  /** Sends what is due. */
  const pump = (): void => {
    for (;;) {
      const due = first() ?? (queue.length ? () => queue.shift()?.() : last());
      if (typeof due === 'number') pace.wakeAt(due);
      if (typeof due !== 'function' || !pace.take()) return;
      due();
    }
  };
  const pace = createPace(platform.clock, pump);

  /** Rejects with `ImError`; with `too_many_calls` if too many wait. */
  const ask: Ask = (...call) =>
    new Promise((resolve, reject) => {
      if (queue.length >= MOST_REQUESTS) throw new ImError('too_many_calls', 0, 1000);
      queue.push(() => {
        const used = token();
        request(platform, server, used, ...call).then(resolve, (error: unknown) => {
          const known = error as ImError;
          reject(known);
          if (known.status === 401) unauthorized(used);
        });
      });
      pump();
    });

  return { pump, ask };
};
