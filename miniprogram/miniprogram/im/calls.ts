// Everything that leaves the phone, one at a time in the order of urgency, within the platform's pace.

import { ImError } from './error';
import { request, type Ask } from './http';
import { createPace } from './pace';
import type { Platform } from './types';

/** The most requests that wait. */
const MOST = 30;

/** What is to be sent now; when to ask again, in ms since 1970; or null: nothing before `pump` is called. */
export type Due = (() => void) | number | null;

export type Calls = ReturnType<typeof createCalls>;

export function createCalls(
  platform: Platform,
  server: string,
  token: () => string,
  /** The service does not take this token any more. */
  unauthorized: (token: string) => void,
  /** What the socket has to send before any request, and after all of them. */
  first: () => Due,
  last: () => Due,
) {
  const queue: (() => void)[] = [];

  /** Sends what is due. */
  const pump = (): void => {
    for (;;) {
      const due = next();
      if (typeof due === 'number') pace.wakeAt(due);
      if (typeof due !== 'function' || !pace.take()) return;
      due();
    }
  };
  const pace = createPace(platform.clock, pump);

  const next = (): Due => first() ?? (queue.length > 0 ? () => queue.shift()?.() : last());

  /** Sends what is worth sending only now, if it does not make anything else wait. */
  const tryNow = (run: () => void): boolean => {
    if (typeof next() === 'function' || !pace.take()) return false;
    run();
    return true;
  };

  /** Rejects with `ImError`; `too_many_calls` if too many wait. */
  const ask: Ask = (...call) =>
    new Promise((resolve, reject) => {
      if (queue.length >= MOST) {
        reject(new ImError('too_many_calls', 0, 1000));
        return;
      }
      queue.push(() => {
        const used = token();
        request(platform, server, used, ...call).then(resolve, (error: unknown) => {
          reject(error);
          if ((error as ImError).status === 401) unauthorized(used);
        });
      });
      pump();
    });

  return { pump, tryNow, ask };
}
