// What has to be loaded over HTTP while there is a socket, until it is.

import { createBackoff } from './backoff';
import type { ImError } from './error';
import { createTimer } from './timer';
import type { ConversationKey, Platform } from './types';

/** A thing to load: the list, the chats of an open conversation, or a conversation's row. */
export type Load = 'list' | `chats:${ConversationKey}` | `row:${ConversationKey}`;

export const createLoads = (
  platform: Platform,
  load: (what: Load) => Promise<void>,
  /** Nothing is left to load. */
  done: () => void,
  failed: (error: ImError) => void,
) => {
  const wanted = new Set<Load>();
  /** A batch under way; another object once its answers mean nothing. */
  let batch: object | null = null;
  const retry = createTimer(platform.clock);
  const backoff = createBackoff(platform);

  const want = (...loads: readonly Load[]): void => {
    loads.forEach((what) => wanted.add(what));
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
    const all = loads.map((what) =>
      load(what).catch((error: unknown) => {
        wanted.add(what);
        if (batch !== current) return;
        wait = Math.max(wait, (error as ImError).retryAfterMs ?? 0);
        failed(error as ImError);
      }),
    );
    void Promise.all(all).then(() => {
      if (batch !== current) return;
      batch = null;
      if (wait < 0) {
        backoff.reset();
        run();
      } else {
        retry(Math.max(wait, backoff.next()), run);
      }
    });
  };

  /** What is under way is given up; it stays wanted. */
  const stop = (): void => {
    batch = null;
    retry();
  };

  return { want, idle, run, stop };
};
