// Synchronises the model with the service: handles frames, loads over HTTP, sends.

import { createCalls } from './calls';
import { readable } from './http';
import { groupKey, keyOf } from './keys';
import { MOST_ASKED_WAIT_MS } from './limits';
import { createLink } from './link';
import { createLoading, type Obtain } from './loading';
import { createLoads, type Load } from './loads';
import { createMarks } from './marks';
import type { Model } from './model';
import { createOutlet } from './outlet';
import type { ClientOptions } from './platform';
import type { Outgoing, Row } from './saved';
import type { Report } from './shown';
import { createTimeline } from './timeline';
import type { ChatId, ConversationKey, UserId } from './types';
import { createUploads } from './uploads';
import type { Chat, Frames, Handlers } from './wire';

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
  let background = false;

  const reconnect = (): void => link.reconnect();
  const pump = (): void => calls.pump();

  const outlet = createOutlet(
    model,
    clock,
    deviceId,
    (text) => link.send(text),
    reconnect,
    pump,
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

  const uploads = createUploads(model, platform, calls.ask, () => link.ready(), pump);

  /** Loads as soon as there is a socket. */
  const want = (...wanted: readonly Load[]): void => {
    loads.want(...wanted);
    if (link.ready()) loads.run();
  };

  const wantRow = (key: ConversationKey | null | undefined): void => {
    if (key) want(`row:${key}`);
  };
  const marks = createMarks(list.rows, clock, calls.ask, wantRow);

  const obtain: Obtain = async (route, read, apply) => {
    const asked = era;
    const answer = readable(read, await calls.ask(route));
    if (asked !== era) return;
    apply(answer);
    applied();
  };

  const loading = createLoading(model, obtain, want, marks);

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

  const add = (chat: Chat): void => {
    wantRow(model.add(chat));
    outlet.heard(chat);
  };

  /** The service has decided about an unsent chat; null: it has it. */
  const answer = (id: string, part?: Partial<Outgoing> | null | false): void => {
    const key = outbox.answer(id, part);
    if (key) touchChats(key);
  };

  /** The kinds of events. One that is unknown, or unreadable, only takes its number. */
  const kinds: Readonly<Partial<Record<string, (event: Frames['event']) => void>>> = {
    'chat': ({ chat }) => {
      if (chat && 'kind' in chat) add(chat);
    },
    'changed': ({ chat }) => {
      if (chat) wantRow(model.change(chat));
    },
    'conversation': ({ conversation }) => {
      const key = conversation ? model.assign(conversation) : undefined;
      wantRow(key);
      if (key && model.opened.includes(key)) want(`chats:${key}`);
      // It is not known which one that is.
      if (key === null) reload();
    },
    'refused': ({ clientMsgId, code, detail }) => answer(clientMsgId, { failure: code, held: false, detail }),
  };

  const read = (row: Row, userId: UserId, upTo: ChatId): void => {
    list.read(row, userId, upTo);
    touchChats(keyOf(row));
    applied();
  };

  const handlers: Handlers = {
    ready: ({ epoch, lastSeq }) => {
      timeline.begin({ seq: lastSeq, epoch });
      outbox.ask();
      outlet.ready();
      if (background) outlet.look(true);
      uploads.run();
      reload();
    },

    reset: ({ epoch, lastSeq }) => {
      era = {};
      model.reset(timeline.reset({ seq: lastSeq, epoch }));
      loads.stop();
      reload();
    },

    event: (event) => {
      if (!timeline.step(event.seq)) return;
      kinds[event.event]?.(event);
      applied();
    },

    sent: ({ seq, clientMsgId, chat }) => {
      // The answer to a repeat is not added here: the timeline has brought it, or a page will, without a gap before it.
      if (timeline.step(seq) && chat) add(chat);
      answer(clientMsgId, null);
      applied();
    },

    held: ({ clientMsgId }) => answer(clientMsgId, { held: true }),

    error: ({ code, clientMsgId, retryAfterMs, detail, reason }) => {
      // A longer wait concerns this chat alone, such as too many first chats to strangers today. The others are sent,
      // and the user decides when to try this one again.
      const waits = retryAfterMs <= MOST_ASKED_WAIT_MS;
      if (waits) outbox.hold(clock.now() + retryAfterMs);
      if (clientMsgId === null) report('service_error', code);
      else answer(clientMsgId, !waits && { failure: code, detail: reason ?? detail });
    },

    read: ({ conversationId, userId, upTo }) => {
      const row = list.byId(conversationId);
      if (!row) return;
      read(row, userId, upTo);
      // A part was read: only the service can count the rest.
      if (userId !== me) return;
      if (list.byId(conversationId)?.unread) wantRow(keyOf(row));
      if (list.capped()) want('list');
    },

    typing: ({ userId, conversationId }) => model.typing(conversationId ? groupKey(conversationId) : userId, true),

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
    /** Nobody looks, or somebody does again. */
    background: (is: boolean): void => {
      background = is;
      if (link.ready()) outlet.look(is);
    },
    settleRead: marks.settle,
    upload: uploads.run,
    cancel: uploads.cancel,

    readUpTo: (row: Row, upTo: ChatId | 0): void => {
      if (!upTo || (upTo === row.readUpTo && !row.markedUnread)) return;
      read(row, me, upTo);
      marks.add(keyOf(row));
    },
  };
};
