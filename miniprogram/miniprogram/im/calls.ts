// Everything that leaves the phone, one at a time in the order of urgency, within the platform's pace.

import { ImError } from './error';
import { request, type Ask } from './http';
import { MOST_REQUESTS } from './limits';
import { createPace } from './pace';
import type { Platform } from './types';

/** What is to be sent now; when to ask again, in ms since 1970; or null: nothing before `pump` is called. */
export type Due = (() => void) | number | null;

export type Calls = ReturnType<typeof createCalls>;

export const createCalls = (
  platform: Platform,
  server: string,
  token: () => string,
  /** The service does not take this token any more. */
  unauthorized: (token: string) => void,
  /** What the socket has to send before any request, and after all of them. */
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

  /** Rejects with `ImError`; `too_many_calls` if too many wait. */
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
