// Uploads the files of unsent chats, one at a time, again and again until the service has an answer.

import { createBackoff } from './backoff';
import type { ImError } from './error';
import { readable, type Ask } from './http';
import { MOST_ASKED_WAIT_MS } from './limits';
import type { Model } from './model';
import type { Platform } from './platform';
import type { Outgoing } from './saved';
import { toMedia } from './wire';

export const createUploads = (
  { outbox, touchChats, state }: Model,
  platform: Platform,
  ask: Ask,
  /** Whether there is a socket. */
  ready: () => boolean,
  /** A chat can be sent. */
  pump: () => void,
) => {
  const backoff = createBackoff(platform);
  let cancel: (() => void) | undefined;

  const run = (): void => {
    const entry = state.upload || !ready() ? undefined : outbox.toUpload();
    if (!entry) return;
    const { id, peerId, file, kind } = entry;
    const current = (state.upload = { id, progress: 0 });
    const end = (part?: Partial<Outgoing>): void => {
      state.upload = null;
      outbox.answer(id, part);
      touchChats(peerId);
      pump();
      run();
    };
    ask('POST /v1/media', undefined, (request) => {
      const upload = platform.upload({
        ...request,
        file,
        fields: { kind },
        progress: (part) => {
          current.progress = part;
          touchChats(peerId);
        },
      });
      cancel = upload.cancel;
      return upload.done;
    })
      .then((json) => {
        backoff.reset();
        end({ body: readable(toMedia, json) });
      })
      .catch((error: unknown) => {
        const { code, status, retryAfterMs } = error as ImError;
        const wait = status === 401 ? 0 : (retryAfterMs ?? Infinity);
        if (wait > MOST_ASKED_WAIT_MS) end({ failure: code });
        else platform.clock.after(Math.max(wait, backoff.next()), end);
      });
  };

  return {
    run,
    /** The chat is not to be sent. */
    cancel: (id: string): void => {
      if (state.upload?.id === id) cancel?.();
    },
  };
};
