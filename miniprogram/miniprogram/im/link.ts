// The connection: when there is a socket, when to wait, when to log in, when to give up.

import { createBackoff } from './backoff';
import type { Connection, Platform, Session, StopReason } from './types';
import { toFrame, type Frame } from './wire';

/** From the call of `connect` to `ready`. */
const CONNECT_MS = 15_000;
const PING_EVERY_MS = 30_000;
/** No frame for so long after a ping: the socket is dead. */
const ANSWER_MS = 10_000;
const STABLE_MS = 60_000;
const LOGIN_MS = 30_000;
/** The most that `reconnect` can make a client wait. */
const MOST_AFTER_MS = 60_000;

/** What WeChat itself says when it, not the service, closed a socket with 1000 or 1001. */
const WECHAT_CLOSED = /^(interrupted|Stream end encountered)/;

const STOPS: Readonly<Partial<Record<number, StopReason>>> = {
  1000: 'closed',
  1001: 'closed',
  1007: 'protocol',
  1009: 'protocol',
  4400: 'protocol',
  4403: 'kicked',
  4409: 'replaced',
};

export interface LinkOwner {
  /** The socket's URL and subprotocols, with the token of now. */
  target(): readonly [url: string, protocols: readonly string[]];
  /** A first frame is due: the socket is open. */
  greet(): void;
  /** A ping is due. */
  ping(): void;
  /** After `ready`, that included. */
  frame(frame: Frame): void;
  /** There is no socket any more: nothing that was sent on it will be answered. */
  lost(): void;
  /** `connection` may be another. */
  moved(): void;
  /** Asks over HTTP whether the session is still good. If it is not, `unauthorized` is called. */
  probe(): void;
  login(): Promise<Session | null>;
  /** There is a new session; false if it is somebody else's. */
  signedIn(session: Session): boolean;
  /** A frame came that is none, or a close that says that the two sides do not understand each other. */
  report(code: 'unreadable_frame' | 'protocol_close', detail: string): void;
}

/** A socket from `connect` on. Another one makes its late calls mean nothing. */
interface Attempt {
  ready: boolean;
  readonly send: (text: string) => void;
  readonly ping: () => void;
  readonly end: () => void;
  readonly returnIn: (ms: number) => void;
}

export function createLink(platform: Platform, owner: LinkOwner) {
  const { clock } = platform;
  const backoff = createBackoff(platform);
  let started = false;
  let visible = true;
  let networked = true;
  let stopped: StopReason | null = null;
  /** The session is known to be bad. */
  let needsLogin = false;
  /** When a login succeeded that no wait has followed yet, in ms since 1970. */
  let loginAt = -Infinity;
  let signingIn: object | null = null;
  let attempt: Attempt | null = null;
  let waiting: { readonly until: number; readonly cancel: () => void } | null = null;
  let settled = false;

  const connection = (): Connection => {
    if (stopped) return { phase: 'stopped', reason: stopped };
    if (started && visible && networked && waiting) return { phase: 'waiting', until: waiting.until };
    const busy = needsLogin ? 'signing_in' : !attempt?.ready ? 'connecting' : settled ? 'online' : 'syncing';
    return { phase: !started ? 'idle' : !visible ? 'hidden' : !networked ? 'offline' : busy };
  };

  const stopWaiting = (): void => {
    waiting?.cancel();
    waiting = null;
  };

  /** Ends the attempt, or the wait for the next one. */
  const drop = (): void => {
    stopWaiting();
    const ended = attempt;
    attempt = null;
    if (ended) {
      ended.end();
      owner.lost();
    }
    owner.moved();
  };

  const wait = (ms: number): void => {
    stopWaiting();
    const cancel = clock.after(ms, hurry);
    waiting = { until: clock.now() + ms, cancel };
    owner.moved();
  };

  const advance = (): void => {
    if (started && visible && networked && !stopped && !waiting) {
      if (needsLogin) signIn();
      else attempt ??= connect();
    }
    owner.moved();
  };

  /** Does now what would be done after the wait. */
  const hurry = (): void => {
    stopWaiting();
    advance();
  };

  /** A normal close holds until the app or the network comes back; the other reasons hold for good. */
  const revive = (): void => {
    if (stopped === 'closed') stopped = null;
  };

  /** The socket is of no use: its frames have a hole, or it does not answer. */
  const reconnect = (): void => {
    if (!attempt) return;
    drop();
    wait(backoff.next());
  };

  /** The service said that the session is no longer good. */
  const unauthorized = (): void => {
    if (needsLogin) return;
    needsLogin = true;
    drop();
    advance();
  };

  const connect = (): Attempt => {
    const timers = new Set<() => void>();
    let opened = false;
    /** How many frames came. */
    let heard = 0;
    /** When the service asked to come back, in ms since 1970. */
    let returnAt: number | null = null;

    const after = (ms: number, run: () => void): void => {
      const cancel = clock.after(ms, () => {
        timers.delete(cancel);
        run();
      });
      timers.add(cancel);
    };
    const ping = (): void => {
      const before = heard;
      owner.ping();
      after(ANSWER_MS, () => {
        if (heard === before) reconnect();
      });
    };
    const beat = (): void => {
      after(PING_EVERY_MS, () => {
        beat();
        ping();
      });
    };
    const receive = (text: string): void => {
      heard += 1;
      const frame = toFrame(text);
      if (!frame) {
        owner.report('unreadable_frame', 'no frame');
        return;
      }
      if (frame.type === 'ready' && !current.ready) {
        current.ready = true;
        settled = false;
        beat();
        after(STABLE_MS, backoff.reset);
        owner.moved();
      }
      // Before `ready` there is nothing that could be put in its place.
      if (current.ready) owner.frame(frame);
    };
    const closed = (code: number, reason: string): void => {
      drop();
      const stop = STOPS[code];
      if (!opened) {
        // Why a connect failed is not told: the session may have ended.
        wait(backoff.next());
        owner.probe();
      } else if (code === 4401) {
        unauthorized();
      } else if (stop && !(stop === 'closed' && WECHAT_CLOSED.test(reason))) {
        stopped = stop;
        if (stop === 'protocol') owner.report('protocol_close', `closed with ${code}`);
      } else {
        wait(returnAt === null ? backoff.next() : Math.max(0, returnAt - clock.now()));
      }
    };
    const ifCurrent = <A extends unknown[]>(run: (...args: A) => void) => (...args: A): void => {
      if (attempt === current) run(...args);
    };

    const [url, protocols] = owner.target();
    const socket = platform.connect(url, protocols, {
      opened: ifCurrent(() => {
        opened = true;
        owner.greet();
      }),
      message: ifCurrent(receive),
      closed: ifCurrent(closed),
    });
    after(CONNECT_MS, () => {
      if (!current.ready) reconnect();
    });
    const current: Attempt = {
      ready: false,
      ping,
      send: (text) => {
        socket.send(text);
      },
      end: () => {
        for (const cancel of timers) cancel();
        socket.close(1000, '');
      },
      returnIn: (ms) => {
        returnAt = clock.now() + ms;
        after(ms, () => {
          drop();
          advance();
        });
      },
    };
    return current;
  };

  const signIn = (): void => {
    if (signingIn) return;
    // A session that ends as soon as it begins must not make a loop of logins.
    if (clock.now() - loginAt < STABLE_MS) {
      loginAt = -Infinity;
      wait(backoff.next());
      return;
    }
    const turn = (signingIn = {});
    const end = (session?: Session | null) => {
      if (signingIn !== turn) return;
      signingIn = null;
      cancel();
      if (session === undefined) {
        wait(backoff.next());
      } else if (session === null) {
        stopped = 'signed_out';
      } else if (!owner.signedIn(session)) {
        stopped = 'other_account';
      } else {
        needsLogin = false;
        loginAt = clock.now();
      }
      advance();
    };
    const fail = () => {
      end();
    };
    const cancel = clock.after(LOGIN_MS, fail);
    owner.login().then(end, fail);
  };

  return {
    connection,
    reconnect,
    unauthorized,
    /** Whether frames other than `hello` may be sent. */
    ready: () => attempt?.ready === true,
    send: (text: string): void => attempt?.send(text),

    start: (): void => {
      started = true;
      stopped = null;
      hurry();
    },

    stop: (): void => {
      started = false;
      drop();
    },

    show: (): void => {
      visible = true;
      revive();
      hurry();
    },

    hide: (): void => {
      visible = false;
      drop();
    },

    network: (connected: boolean): void => {
      if (connected && !networked) revive();
      networked = connected;
      if (!connected) drop();
      // The network may be another one, on which the old socket is dead without a word.
      if (connected && attempt?.ready) attempt.ping();
      else hurry();
    },

    /** What was missed has been made up for. */
    settle: (): void => {
      settled = true;
      owner.moved();
    },

    /** The service is about to close this socket, and said when to be back. */
    returnIn: (ms: number): void => attempt?.returnIn(Math.min(ms, MOST_AFTER_MS)),
  };
}
