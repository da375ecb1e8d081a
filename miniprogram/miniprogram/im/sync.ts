// Keeps the model in step with the service: the socket's frames, what is loaded, what is to be sent.

import { createCalls } from './calls';
import { readable } from './http';
import { createLink } from './link';
import { createLoading, type Fetch } from './loading';
import { createLoads, type Load } from './loads';
import type { Model } from './model';
import { createOutlet } from './outlet';
import { createTimeline } from './timeline';
import type { ChatId, ClientOptions, Report, UserId } from './types';
import type { Chat, Handlers } from './wire';

export function createSync(
  options: ClientOptions,
  model: Model,
  deviceId: string,
  report: (code: Report['code'], detail: string) => void,
  /** The cursor or what it stands for has moved. */
  applied: () => void,
) {
  const { platform, server } = options;
  const { clock } = platform;
  const { state, conversations, outbox, me, touch, touchPeer } = model;
  /** Another one once answers to what was asked before mean nothing: a `reset` came. */
  let era = {};

  const reconnect = (): void => {
    link.reconnect();
  };

  const link = createLink(platform, {
    target: () => [
      `${server.replace(/^http/, 'ws')}/imserver/${me}`,
      ['imserver.v1', `bearer.${state.session.token}`],
    ],
    greet: () => {
      outlet.greet();
      pump();
    },
    ping: () => {
      outlet.ping();
      pump();
    },
    frame: ({ act }) => {
      act?.(handlers);
      settle();
      pump();
    },
    lost: () => {
      timeline.lost();
      loads.stop();
      outlet.lost();
    },
    moved: () => {
      touch('connection');
    },
    probe: () => {
      // Whatever the answer is, what it says of the session has been heard by then.
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
    () => outlet.first(),
    // Before the end of the replay, what is unsent may yet turn out to be sent.
    () => (link.ready() && timeline.caughtUp() ? outlet.last() : null),
  );
  const { pump } = calls;

  const timeline = createTimeline(model, clock, reconnect);

  /** Loads as soon as there is a socket. */
  const want = (...wanted: readonly Load[]): void => {
    loads.want(...wanted);
    if (link.ready()) loads.run();
  };

  const outlet = createOutlet(model, clock, deviceId, link.send, reconnect, (peerId) => {
    want(`row:${peerId}`);
  });

  const fetch: Fetch = async (route, read, apply) => {
    const asked = era;
    const answer = readable(read, await calls.ask(route));
    if (asked !== era) return;
    apply(answer);
    applied();
    // It may have told what the service is to be told.
    pump();
  };

  const loading = createLoading(model, fetch, (what) => { loads.want(what); }, outlet.marks);

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
      if (code === 'unreadable_answer' || code === 'too_many_calls') report(code, 'while loading');
      else if (code !== 'network') report('service_error', code);
    },
  );

  /** Nothing that was missed is still missing. */
  const settle = (): void => {
    if (link.connection().phase === 'syncing' && timeline.caughtUp() && state.complete && loads.idle()) link.settle();
  };

  /** Loads what may have been missed: what has no number, and all after a `reset`. */
  const reload = (): void => {
    want('list', ...model.openPeers().map((id): Load => `chats:${id}`));
  };

  const add = (chat: Chat | null): void => {
    if (chat && !model.add(chat)) want(`row:${model.peerOf(chat)}`);
    applied();
  };

  const readByMe = (peerId: UserId, upTo: ChatId): void => {
    const row = conversations.rows.get(peerId);
    if (!row) return;
    conversations.readByMe(row, upTo);
    touchPeer(peerId);
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
      else if (!link.ready()) return;
      else if (chat) model.had(chat);
      const sending = outbox.sending();
      if (sending?.id === clientMsgId) {
        // The service has it, though its chat cannot be read, or is not what was written here.
        outbox.remove(sending);
        outbox.send(null);
        touchPeer(sending.peerId);
      }
      outlet.answered();
      applied();
    },

    error: ({ code, clientMsgId, retryAfterMs }) => {
      if (retryAfterMs !== null) outbox.hold(clock.now() + retryAfterMs);
      if (clientMsgId === null) {
        report('service_error', code);
        return;
      }
      const entry = outbox.refuse(clientMsgId, code, retryAfterMs === null);
      outlet.answered();
      if (entry) touchPeer(entry.peerId);
    },

    read: ({ conversationId, userId, upTo }) => {
      const row = conversations.byId(conversationId);
      if (!row) return;
      const peerId = row.peer.id;
      if (userId === me) {
        readByMe(peerId, upTo);
        // Another device has read up to somewhere in the middle: only the service can count the rest.
        if ((conversations.rows.get(peerId)?.unread ?? 0) > 0) want(`row:${peerId}`);
      } else {
        conversations.readByPeer(row, upTo);
        touchPeer(peerId);
      }
    },

    typing: ({ userId }) => {
      model.typing(userId, true);
    },

    presence: (frame) => {
      model.setPresence(frame.userId, frame);
    },

    reconnect: ({ afterMs }) => {
      link.returnIn(afterMs);
    },
  };

  return {
    link,
    ask: calls.ask,
    pump,
    want,
    refresh: loading.list,
    loadMore: loading.nextList,
    loadOlder: loading.older,

    watch: (userIds: readonly UserId[]): void => {
      outlet.watch(userIds);
      pump();
    },

    typing: (peerId: UserId): void => {
      if (link.ready()) outlet.typing(peerId, calls.tryNow);
    },

    readUpTo: (peerId: UserId, upTo: ChatId): void => {
      const row = conversations.rows.get(peerId);
      if (!row || upTo <= row.readUpTo) return;
      outlet.marks.set(row.id, upTo);
      readByMe(peerId, upTo);
      pump();
    },
  };
}
