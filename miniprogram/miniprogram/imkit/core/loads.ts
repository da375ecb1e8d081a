// Loads that are wanted, retried while there is a socket until they succeed.

import { createBackoff } from './backoff';
import type { ImError } from './error';
import type { Platform } from './platform';
import { createTimer } from './timer';
import type { ConversationKey } from './types';

/** What to load: the list, the chats of an open conversation, or a conversation's row. */
export type Load = 'list' | `chats:${ConversationKey}` | `row:${ConversationKey}`;

export const createLoads = (
  platform: Platform,
  load: (what: Load) => Promise<void>,
  /** Nothing is left to load. */
  done: () => void,
  failed: (error: ImError) => void,
) => {
  const wanted = new Set<Load>();
  /** The current batch; answers of any other batch are ignored. */
  let batch: object | null = null;
  const retry = createTimer(platform.clock);
  const backoff = createBackoff(platform);

  const want = (...loads: readonly Load[]): void => {
    loads.forEach((what) => wanted.add(what));
  };

  const idle = (): boolean => !wanted.size;

  /** Loads what is wanted, with retries, until all is loaded or `stop` is called. */
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
        // What is not there does not come by asking again.
        if ((error as ImError).status !== 404) wanted.add(what);
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

  /** Gives up the current batch. Its loads stay wanted. */
  const stop = (): void => {
    batch = null;
    retry();
  };

  return { want, idle, run, stop };
};
