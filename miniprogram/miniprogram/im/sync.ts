// Synchronises the model with the service: handles frames, loads over HTTP, sends.

import { createCalls } from './calls';
import { readable } from './http';
import { keyOf } from './keys';
import { createLink } from './link';
import { createLoading, type Obtain } from './loading';
import { MOST_ASKED_WAIT_MS } from './limits';
import { createLoads, type Load } from './loads';
import type { Model } from './model';
import { createOutlet } from './outlet';
import { createTimeline } from './timeline';
import type { Row } from './saved';
import type { ChatId, ClientOptions, ConversationKey, Report, UserId } from './types';
import type { Chat, Handlers } from './wire';

export const createSync = (
  options: ClientOptions,
  model: Model,
  deviceId: string,
  report: (code: Report['code'], detail?: string) => void,
  /** The cursor or the data that it covers has changed. */
  applied: () => void,
) => {
  const { platform, server } = options;
  const { clock } = platform;
  const { state, list, outbox, me, touch, touchChats } = model;
  /** Replaced by each `reset`: answers to earlier requests are then ignored. */
  let era = {};

  const reconnect = (): void => link.reconnect();
  const pump = (): void => calls.pump();

  const outlet = createOutlet(
    model,
    clock,
    deviceId,
    (text) => link.send(text),
    reconnect,
    pump,
    (key) => want(`row:${key}`),
  );
  const timeline = createTimeline(model, clock, reconnect);

  const link = createLink(platform, {
    target: () => [
      `${server.replace(/^http/, 'ws')}/imserver/${me}`,
      ['imserver.v1', `bearer.${state.session.token}`],
    ],
    greet: outlet.greet,
    ping: outlet.ping,
    frame: (type, frame) => {
      (handlers as Readonly<Partial<Record<string, (frame: object) => void>>>)[type]?.(frame);
      settle();
      pump();
    },
    lost: () => {
      timeline.lost();
      loads.stop();
      outlet.lost();
    },
    moved: () => touch('connection'),
    probe: () => {
      // The answer does not matter: a 401 has called `unauthorized` by then.
      calls.ask('GET /v1/me').catch(() => undefined);
    },
    login: () => options.login(),
    signedIn: (session) => {
      if (session.user.id !== me) return false;
      state.session = session;
      touch('me');
      return true;
    },
    report,
  });

  const calls = createCalls(
    platform,
    server,
    () => state.session.token,
    (token) => {
      if (token === state.session.token) link.unauthorized();
    },
    outlet.first,
    // Until the replay ends, an unsent chat may turn out to be sent.
    () => (link.ready() && timeline.caughtUp() ? outlet.last() : null),
  );

  /** Loads as soon as there is a socket. */
  const want = (...wanted: readonly Load[]): void => {
    loads.want(...wanted);
    if (link.ready()) loads.run();
  };

  const obtain: Obtain = async (route, read, apply) => {
    const asked = era;
    const answer = readable(read, await calls.ask(route));
    if (asked !== era) return;
    apply(answer);
    applied();
    // The answer may have made read marks due.
    pump();
  };

  const loading = createLoading(model, obtain, want, outlet.marks);

  const loads = createLoads(
    platform,
    loading.load,
    () => {
      if (!link.ready()) return;
      state.complete = true;
      applied();
      settle();
    },
    ({ code }) => {
      if (code === 'unreadable_answer' || code === 'too_many_calls') report(code);
      else if (code !== 'network') report('service_error', code);
    },
  );

  /** Tells the link when the client has caught up. */
  const settle = (): void => {
    if (link.ready() && timeline.caughtUp() && state.complete && loads.idle()) link.settle();
  };

  /** Loads what the timeline does not bring: what has no number, and everything after a `reset`. */
  const reload = (): void => want('list', ...model.opened.map((key): Load => `chats:${key}`));

  const add = (chat: Chat | null): void => {
    const stranger = chat && model.add(chat);
    if (stranger) want(`row:${stranger}`);
    if (chat) outlet.heard(chat);
    applied();
  };

  const read = (row: Row, userId: UserId, upTo: ChatId): void => {
    list.read(row, userId, upTo);
    touchChats(keyOf(row));
    applied();
  };

  const handlers: Handlers = {
    ready: ({ epoch, lastSeq }) => {
      timeline.begin({ seq: lastSeq, epoch });
      outlet.ready();
      reload();
    },

    reset: ({ epoch, lastSeq }) => {
      era = {};
      if (timeline.reset({ seq: lastSeq, epoch })) {
        model.unsure();
      } else {
        model.clear();
        outlet.marks.clear();
      }
      loads.stop();
      reload();
    },

    event: ({ seq, event, chat }) => {
      if (timeline.step(seq)) add(event === 'chat' ? chat : null);
    },

    sent: ({ seq, clientMsgId, chat }) => {
      if (timeline.step(seq)) add(chat);
      else if (chat) model.had(chat);
      const sending = outbox.sending();
      if (sending?.id === clientMsgId) {
        // The service has the chat, even if its answer is unreadable or another chat.
        outbox.remove(sending);
        outbox.send(null);
        touchChats(sending.peerId);
      }
      applied();
    },

    error: ({ code, clientMsgId, retryAfterMs }) => {
      // A longer wait concerns this chat alone, such as too many first chats to strangers today. The others are sent,
      // and the user decides when to try this one again.
      const waits = retryAfterMs <= MOST_ASKED_WAIT_MS;
      if (waits) outbox.hold(clock.now() + retryAfterMs);
      if (clientMsgId === null) {
        report('service_error', code);
        return;
      }
      const key = outbox.refuse(clientMsgId, code, !waits);
      if (key) touchChats(key);
    },

    read: ({ conversationId, userId, upTo }) => {
      const row = list.byId(conversationId);
      if (!row) return;
      read(row, userId, upTo);
      // Another device has read a part: only the service can count the rest.
      if (userId === me && list.byId(conversationId)?.unread) want(`row:${keyOf(row)}`);
    },

    typing: ({ userId }) => model.typing(userId, true),

    presence: (frame) => model.setPresence(frame.userId, frame),

    reconnect: ({ afterMs }) => link.returnIn(afterMs),
  };

  return {
    link,
    ask: calls.ask,
    pump,
    want,
    refresh: loading.newest,
    loadMore: loading.next,
    loadOlder: loading.older,

    watch: outlet.watch,

    typing: outlet.typing,

    readUpTo: (key: ConversationKey, upTo: ChatId): void => {
      const row = list.rows.get(key);
      if (!row || upTo <= row.readUpTo) return;
      outlet.marks.set(row.id, upTo);
      read(row, me, upTo);
      pump();
    },
  };
};
