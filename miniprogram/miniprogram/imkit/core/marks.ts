// Read marks: sent over HTTP, one at a time, so that an answer says when the service has one.

import type { ImError } from './error';
import type { Ask } from './http';
import { READ_EVERY_MS } from './limits';
import type { Clock } from './platform';
import type { Row } from './saved';
import type { ChatId, ConversationKey } from './types';

export type Marks = ReturnType<typeof createMarks>;

/** A mark is the `readUpTo` of its row. */
export const createMarks = (
  rows: ReadonlyMap<ConversationKey, Row>,
  clock: Clock,
  ask: Ask,
  /** It is unknown what the service has. */
  lost: (key: ConversationKey) => void,
) => {
  /** Those that wait for the one under way. */
  const due = new Set<ConversationKey>();
  /** What the service has, or is about to have. */
  const sent = new Map<ConversationKey, ChatId>();
  /** The last one: until its answer came, and then for a pause. */
  let busy: Promise<void> | undefined;

  const send = async (key: ConversationKey): Promise<void> => {
    due.delete(key);
    const row = rows.get(key);
    const upTo = row?.readUpTo;
    if (!upTo) return;
    sent.set(key, upTo);
    await ask(`POST /v1/conversations/${row.id}/read`, { upTo }).catch((error: unknown) => {
      sent.delete(key);
      // What is refused for good would be refused again and again.
      if ((error as ImError).retryAfterMs !== null) lost(key);
      throw error;
    });
  };

  const run = (): void => {
    const [key] = due;
    busy = key && send(key).catch(() => undefined).then(() => void clock.after(READ_EVERY_MS, run));
  };

  return {
    add: (key: ConversationKey): void => {
      due.add(key);
      if (!busy) run();
    },
    sent,
    /** Resolves once the service has the mark, and no older one can come after it. Rejects with `ImError`. */
    settle: async (key: ConversationKey): Promise<void> => {
      await busy;
      return send(key);
    },
  };
};
