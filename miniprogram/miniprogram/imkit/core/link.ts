// The connection: when to open a socket, to wait, to log in, to stop.

import { createBackoff } from './backoff';
import { CONNECT_MS, LOGIN_MS, MOST_ASKED_WAIT_MS, PING_EVERY_MS, PONG_MS, STABLE_MS } from './limits';
import type { Platform, Socket } from './platform';
import type { Connection, StopReason } from './shown';
import { createTimer } from './timer';
import type { Session } from './types';
import { toFrame } from './wire';

/** Close reasons of 1000 and 1001 that come from WeChat itself, not from the service. */
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
  /** The socket's URL and subprotocols, with the current token. */
  target(): [url: string, protocols: readonly string[]];
  /** The socket is open, and `hello` is due. */
  greet(): void;
  /** A ping is due. */
  ping(): void;
  /** A frame came: `ready` or a later one. */
  frame(type: string, frame: object): void;
  /** The socket is gone: nothing that was sent on it will be answered. */
  lost(): void;
  /** `connection` may have changed. */
  moved(): void;
  /** Asks over HTTP whether the session is still valid, and calls `unauthorized` if not. */
  probe(): void;
  login(): Promise<Session | null>;
  /** Takes a new session; false if it is another user's. */
  signedIn(session: Session): boolean;
  /** An unreadable frame came, or a close for breaking the protocol. */
  report(code: 'unreadable_frame' | 'protocol_close', detail?: string): void;
}

export const createLink = (platform: Platform, owner: LinkOwner) => {
  const { clock } = platform;
  const backoff = createBackoff(platform);
  let started = false;
  let visible = true;
  let networked = true;
  let stopped: StopReason | null = null;
  /** The session is known to be invalid. */
  let needsLogin = false;
  /** When the last login succeeded, unless a wait followed it; in ms since 1970. */
  let loginAt = -Infinity;
  let signingIn = false;
  /** When the next attempt is due, in ms since 1970; 0: not waiting. */
  let waitUntil = 0;
  const waiting = createTimer(clock);

  /** Set from `connect` on. Callbacks of any other socket are ignored. */
  let socket: Socket | null = null;
  /** The socket takes frames other than `hello`. */
  let ready = false;
  /** The client has caught up. */
  let settled = false;
  /** Frames received. */
  let heard = 0;
  /** When the service asked the client to reconnect, in ms since 1970. */
  let returnAt = 0;
  /** Cancel the timers that belong to the socket. */
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

  /** Closes the socket, or ends the wait for the next one. */
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

  /** Ends the wait and acts now. */
  const hurry = (): void => {
    stopWaiting();
    advance();
  };

  /** A normal close lasts until the app or the network comes back; the other reasons last until `start`. */
  const revive = (): void => {
    if (stopped === 'closed') stopped = null;
  };

  /** Replaces a socket that has a gap in its frames, or does not answer. */
  const reconnect = (): void => {
    if (!socket) return;
    drop();
    wait();
  };

  /** Closes the socket and goes on at once. */
  const replace = (): void => {
    drop();
    advance();
  };

  /** The service said that the session is no longer valid. */
  const unauthorized = (): void => {
    if (needsLogin) return;
    needsLogin = true;
    replace();
  };

  /** Calls `run` after `ms`, unless the socket is gone by then. */
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
    // A frame before `ready` has no meaning.
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
          // The platform does not say why a connect failed: the session may have ended.
          wait();
          owner.probe();
        } else if (code === 4401) {
          unauthorized();
        } else if (stop && !(stop === 'closed' && WECHAT_CLOSED.test(reason))) {
          stopped = stop;
          if (stop === 'protocol') owner.report('protocol_close', `${code}`);
        } else {
          wait(returnAt ? returnAt - clock.now() : undefined);
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
    // Sessions that end at once must not cause a loop of logins.
    if (clock.now() - loginAt < STABLE_MS) {
      loginAt = -Infinity;
      wait();
      return;
    }
    signingIn = true;
    const end = (session?: Session | null) => {
      // A login that timed out may still answer, and that answer is as good as the next one's.
      if (!signingIn) return;
      signingIn = false;
      cancel();
      if (session === undefined) {
        wait();
      } else if (session && owner.signedIn(session)) {
        needsLogin = false;
        loginAt = clock.now();
      } else {
        stopped = session ? 'other_account' : 'signed_out';
      }
      advance();
    };
    const cancel = clock.after(LOGIN_MS, end);
    // A login that fails is tried again, like one that timed out.
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
      // On another network the old socket may be dead without a close.
      if (ready) ping();
      else hurry();
    },

    /** The client has caught up. */
    settle: (): void => {
      if (!settled) owner.moved();
      settled = true;
    },

    /** The service is about to close this socket, and said when to reconnect. */
    returnIn: (afterMs: number): void => {
      const ms = Math.min(afterMs, MOST_ASKED_WAIT_MS);
      returnAt = clock.now() + ms;
      after(ms, replace);
    },
  };
};
