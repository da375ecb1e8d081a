// The connection: when there is a socket, when to wait, when to log in, when to give up.

import { createBackoff } from './backoff';
import { CONNECT_MS, LOGIN_MS, MOST_ASKED_WAIT_MS, PING_EVERY_MS, PONG_MS, STABLE_MS } from './limits';
import { createTimer } from './timer';
import type { Connection, Platform, Session, Socket, StopReason } from './types';
import { toFrame } from './wire';

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
  target(): [url: string, protocols: readonly string[]];
  /** A first frame is due: the socket is open. */
  greet(): void;
  /** A ping is due. */
  ping(): void;
  /** After `ready`, that included. */
  frame(type: string, frame: object): void;
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
  report(code: 'unreadable_frame' | 'protocol_close', detail?: string): void;
}

export const createLink = (platform: Platform, owner: LinkOwner) => {
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
  let signingIn = false;
  /** When the next attempt is made, in ms since 1970; 0: not awaited. */
  let waitUntil = 0;
  const waiting = createTimer(clock);

  /** From `connect` on. Another one, or none, makes the late calls of this one mean nothing. */
  let socket: Socket | null = null;
  /** It is open for frames other than `hello`. */
  let ready = false;
  /** What was missed has been made up for. */
  let settled = false;
  /** How many frames came. */
  let heard = 0;
  /** When the service asked to come back, in ms since 1970. */
  let returnAt = 0;
  /** What cancels the timers that end with the socket. */
  const timers = new Set<() => void>();

  const connection = (): Connection => {
    if (stopped) return { phase: 'stopped', reason: stopped };
    if (started && visible && networked && waitUntil) return { phase: 'waiting', until: waitUntil };
    const busy = needsLogin ? 'signing_in' : !ready ? 'connecting' : settled ? 'online' : 'syncing';
    return { phase: !started ? 'idle' : !visible ? 'hidden' : !networked ? 'offline' : busy };
  };

  const stopWaiting = (): void => {
    waiting();
    waitUntil = 0;
  };

  /** Ends the socket, or the wait for the next one. */
  const drop = (): void => {
    stopWaiting();
    const ended = socket;
    socket = null;
    ready = false;
    for (const cancel of timers) cancel();
    timers.clear();
    if (ended) {
      ended.close(1000, '');
      owner.lost();
    }
    owner.moved();
  };

  const wait = (ms = backoff.next()): void => {
    waitUntil = clock.now() + ms;
    waiting(ms, hurry);
    owner.moved();
  };

  const advance = (): void => {
    if (started && visible && networked && !stopped && !waitUntil) {
      if (needsLogin) signIn();
      else if (!socket) connect();
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
    if (!socket) return;
    drop();
    wait();
  };

  /** The service said that the session is no longer good. */
  const unauthorized = (): void => {
    if (needsLogin) return;
    needsLogin = true;
    drop();
    advance();
  };

  /** Unless the socket is gone by then. */
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
    after(PONG_MS, () => {
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
    const read = toFrame(text);
    if (!read) {
      owner.report('unreadable_frame');
      return;
    }
    const { type, frame } = read;
    if (type === 'ready' && !ready) {
      ready = true;
      settled = false;
      beat();
      after(STABLE_MS, backoff.reset);
      owner.moved();
    }
    // Before `ready` there is nothing that could be put in its place.
    if (ready) owner.frame(type, frame);
  };

  const connect = (): void => {
    let opened = false;
    returnAt = 0;
    const ifCurrent = <A extends unknown[]>(run: (...args: A) => void) => (...args: A): void => {
      if (socket === current) run(...args);
    };
    const current = platform.connect(...owner.target(), {
      opened: ifCurrent(() => {
        opened = true;
        owner.greet();
      }),
      message: ifCurrent(receive),
      closed: ifCurrent((code, reason) => {
        drop();
        const stop = STOPS[code];
        if (!opened) {
          // Why a connect failed is not told: the session may have ended.
          wait();
          owner.probe();
        } else if (code === 4401) {
          unauthorized();
        } else if (stop && !(stop === 'closed' && WECHAT_CLOSED.test(reason))) {
          stopped = stop;
          if (stop === 'protocol') owner.report('protocol_close', `${code}`);
        } else {
          wait(returnAt ? returnAt - clock.now() : backoff.next());
        }
      }),
    });
    socket = current;
    after(CONNECT_MS, () => {
      if (!ready) reconnect();
    });
  };

  const signIn = (): void => {
    if (signingIn) return;
    // A session that ends as soon as it begins must not make a loop of logins.
    if (clock.now() - loginAt < STABLE_MS) {
      loginAt = -Infinity;
      wait();
      return;
    }
    signingIn = true;
    const end = (session?: Session | null) => {
      // Of a login that took too long, the answer is as good as that of the next.
      if (!signingIn) return;
      signingIn = false;
      cancel();
      if (session === undefined) {
        wait();
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
    const cancel = clock.after(LOGIN_MS, end);
    // What failed is tried again, as what took too long is.
    void owner.login().catch(() => undefined).then(end);
  };

  return {
    connection,
    reconnect,
    unauthorized,
    /** Whether frames other than `hello` may be sent. */
    ready: () => ready,
    send: (text: string): void => socket?.send(text),

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
      if (ready) ping();
      else hurry();
    },

    /** What was missed has been made up for. */
    settle: (): void => {
      if (!settled) owner.moved();
      settled = true;
    },

    /** The service is about to close this socket, and said when to be back. */
    returnIn: (afterMs: number): void => {
      const ms = Math.min(afterMs, MOST_ASKED_WAIT_MS);
      returnAt = clock.now() + ms;
      after(ms, () => {
        drop();
        advance();
      });
    },
  };
};
