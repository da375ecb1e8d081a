// What the socket sends: `hello` and pings first, then chats, then what can wait.

import type { Due } from './calls';
import { target } from './keys';
import { ANSWER_MS, TYPING_EVERY_MS } from './limits';
import type { Model } from './model';
import type { Clock } from './platform';
import { createTimer } from './timer';
import type { ConversationKey, UserId } from './types';
import { toJson, type Chat, type ClientFrame } from './wire';

export const createOutlet = (
  { state, outbox, touchChats }: Model,
  clock: Clock,
  deviceId: string,
  transmit: (text: string) => void,
  /** Replaces the socket. */
  reconnect: () => void,
  /** Something is due. */
  pump: () => void,
) => {
  /** What goes before any request. */
  const urgent: (() => void)[] = [];
  let watchDue = false;
  let watched: readonly UserId[] = [];
  /** Pairs of sender and receiver since the last `watch`: the service may show a user's presence only after the first
   * chat, or the first answer. */
  const spoke = new Set<string>();
  /** The conversation for which `typing` is due. */
  let typingIn: ConversationKey | null = null;
  let typedAt = -Infinity;
  /** A chat was sent since, which ends what the other side shows: one more `typing` may go at once. */
  let typesAgain = false;
  /** Expires if a send is not answered. */
  const timer = createTimer(clock);

  const send = (frame: ClientFrame): void => transmit(toJson(frame));
  const soon = (make: () => ClientFrame): void => {
    urgent.push(() => send(make()));
    pump();
  };
  const watchAgain = (): void => {
    watchDue = watched.length > 0;
    pump();
  };

  return {
    greet: (): void =>
      soon(() => {
        const { cursor } = state;
        return { type: 'hello', ...(cursor && { since: cursor.seq, epoch: cursor.epoch }), deviceId };
      }),

    ping: (): void => soon(() => ({ type: 'ping' })),

    /** Whether anybody looks. */
    look: (background: boolean): void => soon(() => ({ type: 'state', background })),

    watch: (userIds: readonly UserId[]): void => {
      watched = userIds;
      watchDue = true;
      spoke.clear();
      pump();
    },

    /** A chat came from the timeline. */
    heard: ({ userId, targetUserId }: Chat): void => {
      if (spoke.size < spoke.add(`${userId}-${targetUserId}`).size) watchAgain();
    },

    /** A new socket is ready. */
    ready: watchAgain,

    /** There is no socket. */
    lost: (): void => {
      urgent.length = 0;
      const sending = outbox.sending();
      outbox.send(null);
      if (sending) touchChats(sending.peerId);
    },

    typing: (key: ConversationKey): void => {
      if (Math.abs(clock.now() - typedAt) >= TYPING_EVERY_MS) typesAgain = false;
      else if (!typesAgain) return;
      typingIn = key;
      pump();
      // If it cannot be sent at once, it is dropped.
      typingIn = null;
    },

    /** What goes before any request. */
    first: (): Due => (urgent.length ? () => urgent.shift()?.() : null),

    /** What goes after all requests, once the socket is ready and the replay has ended. */
    last: (): Due => {
      const now = clock.now();
      const next = outbox.next(now);
      if (next && typeof next === 'object') {
        const { peerId, content, kind, body, replyTo, mentions } = next;
        return () => {
          outbox.send(next);
          typesAgain = true;
          touchChats(peerId);
          timer(ANSWER_MS, () => {
            if (outbox.sending() === next) reconnect();
          });
          send({
            type: 'send',
            clientMsgId: next.id,
            ...target(peerId),
            ...(body ? { kind, body } : { content }),
            ...(replyTo && { replyTo: replyTo.id }),
            ...(mentions && { mentions }),
          });
        };
      }
      if (watchDue) {
        return () => {
          watchDue = false;
          send({ type: 'watch', userIds: watched });
        };
      }
      const key = typingIn;
      if (key) {
        return () => {
          typingIn = null;
          // The service may drop the additional one, so that it does not delay the next.
          if (typesAgain) typesAgain = false;
          else typedAt = now;
          send({ type: 'typing', ...target(key) });
        };
      }
      return next;
    },
  };
};
