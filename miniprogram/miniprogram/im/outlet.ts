// What the socket has to send: greetings and pings before all else, then chats, then what may wait.

import type { Due } from './calls';
import type { Model } from './model';
import type { ChatId, Clock, ConversationId, UserId } from './types';

/** A send that is not answered for so long: the socket is dead. */
const ANSWER_MS = 20_000;
/** From one read mark to the next: they come in bursts, and the last one says it all. */
const READ_EVERY_MS = 500;
/** The service forwards at most one in 2 s. */
const TYPING_EVERY_MS = 2500;

export function createOutlet(
  { state, conversations, outbox, touchPeer }: Model,
  clock: Clock,
  deviceId: string,
  transmit: (text: string) => void,
  /** The socket is of no use. */
  reconnect: () => void,
  /** A read mark went out that is not at the end: only the service can count what is left unread. */
  recount: (peerId: UserId) => void,
) {
  let helloDue = false;
  let pingDue = false;
  let watchDue = false;
  let watched: readonly UserId[] = [];
  /** How many of them had a conversation when the service was told: it leaves the others out. */
  let watchedRows = 0;
  /** Read marks that the service has not. */
  const marks = new Map<ConversationId, ChatId>();
  let markedAt = -Infinity;
  const typedAt = new Map<UserId, number>();
  let cancelAnswer = () => {
    // No send is under way.
  };

  const send = (type: string, frame: object = {}): void => {
    transmit(JSON.stringify({ type, ...frame }));
  };

  return {
    marks,

    greet: (): void => {
      helloDue = true;
    },

    ping: (): void => {
      pingDue = true;
    },

    watch: (userIds: readonly UserId[]): void => {
      watched = userIds;
      watchDue = true;
    },

    /** A new socket is ready. */
    ready: (): void => {
      watchDue = watched.length > 0;
    },

    /** No send is under way any more, if that is so. */
    answered: (): void => {
      if (!outbox.sending()) cancelAnswer();
    },

    /** There is no socket. */
    lost: (): void => {
      helloDue = pingDue = false;
      cancelAnswer();
      const sending = outbox.sending();
      outbox.send(null);
      if (sending) touchPeer(sending.peerId);
    },

    /** `tryNow` sends it now or never. */
    typing: (peerId: UserId, tryNow: (run: () => void) => boolean): void => {
      const now = clock.now();
      if (Math.abs(now - (typedAt.get(peerId) ?? -Infinity)) < TYPING_EVERY_MS) return;
      const sent = tryNow(() => {
        send('typing', { targetUserId: peerId });
      });
      if (sent) typedAt.set(peerId, now);
    },

    /** What goes before any request. */
    first: (): Due => {
      if (helloDue) {
        return () => {
          helloDue = false;
          const { cursor } = state;
          send('hello', { ...(cursor && { since: cursor.seq, epoch: cursor.epoch }), deviceId });
        };
      }
      if (!pingDue) return null;
      return () => {
        pingDue = false;
        send('ping');
      };
    },

    /** What goes after all requests, once the socket is ready and nothing unsent can turn out to be sent. */
    last: (): Due => {
      const now = clock.now();
      const next = outbox.next(now);
      if (next !== null && typeof next !== 'number') {
        const { id, peerId, content } = next;
        return () => {
          outbox.send(next);
          touchPeer(peerId);
          cancelAnswer = clock.after(ANSWER_MS, reconnect);
          send('send', { clientMsgId: id, targetUserId: peerId, content });
        };
      }
      const rows = watched.filter((id) => conversations.rows.has(id)).length;
      if (watchDue || rows > watchedRows) {
        return () => {
          watchDue = false;
          watchedRows = rows;
          send('watch', { userIds: watched });
        };
      }
      const [mark] = marks;
      if (!mark) return next;
      const due = markedAt + READ_EVERY_MS;
      if (now < due && due - now <= READ_EVERY_MS) return Math.min(due, next ?? due);
      const [conversationId, upTo] = mark;
      return () => {
        markedAt = now;
        marks.delete(conversationId);
        send('read', { conversationId, upTo });
        const row = conversations.byId(conversationId);
        if (row && row.unread > 0) recount(row.peer.id);
      };
    },
  };
}
