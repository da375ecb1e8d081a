// The connection: when there is a socket, when to wait, when to log in, when to give up.

import { Backoff } from './backoff';
import type { Connection, Platform, Session, Socket, StopReason } from './types';
import { toFrame, type ServerFrame } from './wire';

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
  /** The socket is open: its first frame is due. */
  opened(): void;
  frame(frame: ServerFrame): void;
  /** A frame came that is none. */
  unreadable(): void;
  /** There is no socket any more: nothing that was sent on it will be answered. */
  lost(): void;
  /** `connection` may be another. */
  moved(): void;
  /** A ping is due. */
  ping(): void;
  /** Asks over HTTP whether the session is still good: false only if the service says that it is not. */
  probe(): Promise<boolean>;
  login(): Promise<Session | null>;
  /** There is a new session; false if it is somebody else's. */
  signedIn(session: Session): boolean;
  /** The socket was closed with a code that says that the two sides do not understand each other. */
  misunderstood(code: number): void;
}

/** A socket from `connect` on. Another one makes its late calls mean nothing. */
interface Attempt {
  socket: Socket | null;
  opened: boolean;
  ready: boolean;
  /** How many frames came. */
  heard: number;
  /** When the service asked to come back, in ms since 1970. */
  returnAt: number | null;
  readonly timers: (() => void)[];
}

export class Link {
  private started = false;
  private visible = true;
  private networked = true;
  private stopped: StopReason | null = null;
  /** The session is known to be bad. */
  private needsLogin = false;
  /** When a login succeeded that no wait has followed yet, in ms since 1970. */
  private loginAt = -Infinity;
  private signingIn: object | null = null;
  private attempt: Attempt | null = null;
  private waiting: { readonly until: number; readonly cancel: () => void } | null = null;
  private settled = false;
  private readonly backoff: Backoff;

  constructor(
    private readonly platform: Platform,
    private readonly owner: LinkOwner,
    /** The socket's URL and subprotocols, with the token of now. */
    private readonly target: () => { readonly url: string; readonly protocols: readonly string[] },
  ) {
    this.backoff = new Backoff(() => platform.random());
  }

  get connection(): Connection {
    if (this.stopped) return { phase: 'stopped', reason: this.stopped };
    if (!this.started) return { phase: 'idle' };
    if (!this.visible) return { phase: 'hidden' };
    if (!this.networked) return { phase: 'offline' };
    if (this.waiting) return { phase: 'waiting', until: this.waiting.until };
    if (this.needsLogin) return { phase: 'signing_in' };
    if (!this.attempt?.ready) return { phase: 'connecting' };
    return { phase: this.settled ? 'online' : 'syncing' };
  }

  /** Whether frames other than `hello` may be sent. */
  get ready(): boolean {
    return this.attempt?.ready === true;
  }

  start(): void {
    this.started = true;
    this.stopped = null;
    this.hurry();
  }

  stop(): void {
    this.started = false;
    this.drop();
    this.owner.moved();
  }

  show(): void {
    this.visible = true;
    this.revive();
    this.hurry();
  }

  hide(): void {
    this.visible = false;
    this.drop();
    this.owner.moved();
  }

  network(connected: boolean): void {
    const returned = connected && !this.networked;
    this.networked = connected;
    if (!connected) this.drop();
    if (returned) this.revive();
    // The network may be another one, on which the old socket is dead without a word.
    if (connected && this.attempt?.ready) this.ping(this.attempt);
    else this.hurry();
    this.owner.moved();
  }

  /** What was missed has been made up for. */
  settle(): void {
    this.settled = true;
    this.owner.moved();
  }

  send(text: string): void {
    this.attempt?.socket?.send(text);
  }

  /** The socket is of no use: its frames have a hole, or it does not answer. */
  reconnect(): void {
    if (!this.attempt) return;
    this.drop();
    this.wait(this.backoff.next());
  }

  /** The service said over HTTP that the session is no longer good. */
  unauthorized(): void {
    if (this.needsLogin) return;
    this.needsLogin = true;
    this.drop();
    this.hurry();
  }

  /** Does now what would be done after the wait. */
  private hurry(): void {
    this.waiting?.cancel();
    this.waiting = null;
    this.advance();
  }

  /** A normal close holds until the app or the network comes back; the other reasons hold for good. */
  private revive(): void {
    if (this.stopped === 'closed') this.stopped = null;
  }

  private advance(): void {
    if (this.started && this.visible && this.networked && !this.stopped && !this.waiting) {
      if (this.needsLogin) this.signIn();
      else if (!this.attempt) this.connect();
    }
    this.owner.moved();
  }

  private connect(): void {
    const { clock } = this.platform;
    const attempt: Attempt = { socket: null, opened: false, ready: false, heard: 0, returnAt: null, timers: [] };
    this.attempt = attempt;
    const current = (run: () => void) => {
      if (this.attempt === attempt) run();
    };
    attempt.timers.push(
      clock.after(CONNECT_MS, () => {
        if (!attempt.ready) this.reconnect();
      }),
    );
    const { url, protocols } = this.target();
    attempt.socket = this.platform.connect(url, protocols, {
      opened: () => {
        current(() => {
          attempt.opened = true;
          this.owner.opened();
        });
      },
      message: (text) => {
        current(() => {
          this.receive(attempt, text);
        });
      },
      closed: (code, reason) => {
        current(() => {
          this.closed(attempt, code, reason);
        });
      },
    });
  }

  private receive(attempt: Attempt, text: string): void {
    attempt.heard += 1;
    const frame = toFrame(text);
    if (!frame) {
      this.owner.unreadable();
      return;
    }
    if (frame.type === 'ready' && !attempt.ready) {
      attempt.ready = true;
      this.settled = false;
      this.every(attempt, PING_EVERY_MS, () => {
        this.ping(attempt);
      });
      attempt.timers.push(
        this.platform.clock.after(STABLE_MS, () => {
          this.backoff.reset();
        }),
      );
      this.owner.moved();
    }
    // Before `ready` there is nothing that could be put in its place.
    if (!attempt.ready) return;
    if (frame.type === 'reconnect') this.plan(attempt, Math.min(frame.afterMs, MOST_AFTER_MS));
    this.owner.frame(frame);
  }

  /** The service is about to close this socket, and said when to be back. */
  private plan(attempt: Attempt, afterMs: number): void {
    attempt.returnAt = this.platform.clock.now() + afterMs;
    attempt.timers.push(
      this.platform.clock.after(afterMs, () => {
        this.drop();
        this.advance();
      }),
    );
  }

  private ping(attempt: Attempt): void {
    const { heard } = attempt;
    this.owner.ping();
    attempt.timers.push(
      this.platform.clock.after(ANSWER_MS, () => {
        if (attempt.heard === heard) this.reconnect();
      }),
    );
  }

  private closed(attempt: Attempt, code: number, reason: string): void {
    const { opened, returnAt } = attempt;
    this.drop();
    const stop = STOPS[code];
    if (!opened) {
      this.check();
    } else if (code === 4401) {
      this.unauthorized();
    } else if (stop && !(stop === 'closed' && WECHAT_CLOSED.test(reason))) {
      this.stopped = stop;
      if (stop === 'protocol') this.owner.misunderstood(code);
      this.owner.moved();
    } else {
      this.wait(returnAt === null ? this.backoff.next() : Math.max(0, returnAt - this.platform.clock.now()));
    }
  }

  /** Why a connect failed is not told: the session may have ended. */
  private check(): void {
    this.wait(this.backoff.next());
    void this.owner.probe().then((good) => {
      if (!good) this.unauthorized();
    });
  }

  private signIn(): void {
    if (this.signingIn) return;
    const { clock } = this.platform;
    // A session that ends as soon as it begins must not make a loop of logins.
    if (clock.now() - this.loginAt < STABLE_MS) {
      this.loginAt = -Infinity;
      this.wait(this.backoff.next());
      return;
    }
    const turn = (this.signingIn = {});
    const end = (session: Session | null | undefined) => {
      if (this.signingIn !== turn) return;
      this.signingIn = null;
      cancel();
      if (session === undefined) {
        this.wait(this.backoff.next());
      } else if (session === null) {
        this.stopped = 'signed_out';
      } else if (!this.owner.signedIn(session)) {
        this.stopped = 'other_account';
      } else {
        this.needsLogin = false;
        this.loginAt = clock.now();
      }
      this.advance();
    };
    const cancel = clock.after(LOGIN_MS, () => {
      end(undefined);
    });
    void this.owner.login().then(end, () => {
      end(undefined);
    });
  }

  private wait(ms: number): void {
    const { clock } = this.platform;
    this.waiting?.cancel();
    this.waiting = {
      until: clock.now() + ms,
      cancel: clock.after(ms, () => {
        this.waiting = null;
        this.advance();
      }),
    };
    this.owner.moved();
  }

  private every(attempt: Attempt, ms: number, run: () => void): void {
    const slot = attempt.timers.push(() => undefined) - 1;
    const again = () => {
      attempt.timers[slot] = this.platform.clock.after(ms, () => {
        again();
        run();
      });
    };
    again();
  }

  /** Ends the attempt, or the wait for the next one. */
  private drop(): void {
    this.waiting?.cancel();
    this.waiting = null;
    const attempt = this.attempt;
    if (!attempt) return;
    this.attempt = null;
    for (const cancel of attempt.timers) cancel();
    attempt.socket?.close(1000, '');
    this.owner.lost();
  }
}
