// What has to be loaded over HTTP while there is a socket, until it is.

import { createBackoff } from './backoff';
import type { ImError } from './error';
import type { Platform, UserId } from './types';

/** A thing to load: the list, the chats of an open conversation, or a conversation's row. */
export type Load = 'list' | `chats:${UserId}` | `row:${UserId}`;

export function createLoads(
  platform: Platform,
  load: (what: Load) => Promise<void>,
  /** Nothing is left to load. */
  done: () => void,
  failed: (error: ImError) => void,
) {
  const wanted = new Set<Load>();
  /** A batch under way; another object once its answers mean nothing. */
  let batch: object | null = null;
  let cancelRetry = () => {
    // Nothing is to be repeated.
  };
  const backoff = createBackoff(platform);

  const want = (...loads: readonly Load[]): void => {
    for (const what of loads) wanted.add(what);
  };

  const idle = (): boolean => wanted.size === 0;

  /** Loads what is wanted, again and again until it is there or `stop` is called. */
  const run = (): void => {
    if (batch) return;
    if (idle()) {
      done();
      return;
    }
    const current = (batch = {});
    const loads = [...wanted];
    wanted.clear();
    let wait = -1;
    const fail = (what: Load, error: ImError) => {
      wanted.add(what);
      if (batch !== current) return;
      wait = Math.max(wait, error.retryAfterMs ?? 0);
      failed(error);
    };
    const all = loads.map((what) => load(what).catch((error: unknown) => { fail(what, error as ImError); }));
    void Promise.all(all).then(() => {
      if (batch !== current) return;
      batch = null;
      if (wait < 0) {
        backoff.reset();
        run();
      } else {
        cancelRetry = platform.clock.after(Math.max(wait, backoff.next()), run);
      }
    });
  };

  /** What is under way is given up; it stays wanted. */
  const stop = (): void => {
    batch = null;
    cancelRetry();
  };

  return { want, idle, run, stop };
}
