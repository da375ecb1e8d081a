// A phone: the client's platform, with a network as bad as the run wants it.

import assert from 'node:assert/strict';

import type { HttpRequest, HttpResponse, Platform, Socket, SocketHandlers, UploadRequest } from '../../../miniprogram/imkit/core/index';
import type { Chance } from './chance';
import type { Answer } from './routes';
import type { FakeServer, Wire } from './server';
import type { VirtualTime } from './time';

/** Probabilities of faults. */
export interface Faults {
  /** A frame is lost, duplicated or reordered. TCP does none of this, and the client has to notice it. */
  drop: number;
  double: number;
  reorder: number;
  /** A connect or a request fails, the request maybe after it was carried out. */
  fail: number;
  /** The longest delay of a frame or an answer, in ms. */
  delayMs: number;
}

export const CALM: Faults = { drop: 0, double: 0, reorder: 0, fail: 0, delayMs: 60 };

/** A storage that can be full, and survives the app. */
export class Disk {
  readonly texts = new Map<string, string>();
  /** In UTF-16 units. */
  room = Infinity;

  get(key: string): string | undefined {
    return this.texts.get(key);
  }

  set(key: string, value: string): void {
    let size = value.length;
    for (const [name, text] of this.texts) if (name !== key) size += text.length;
    if (size > this.room) throw new Error('no room');
    this.texts.set(key, value);
  }

  remove(key: string): void {
    this.texts.delete(key);
  }
}

/** The network of one start of the app. After the app is killed, nothing reaches it. */
export class App implements Platform {
  faults: Faults = CALM;
  networked = true;
  killed = false;
  private readonly tunnels = new Set<Tunnel>();
  private readonly calls: number[] = [];

  constructor(
    readonly time: VirtualTime,
    readonly chance: Chance,
    readonly server: FakeServer,
    readonly storage: Disk,
  ) {}

  readonly clock = {
    now: () => this.time.now(),
    after: (delayMs: number, run: () => void) =>
      this.time.after(delayMs, () => {
        if (!this.killed) run();
      }),
  };

  random(): number {
    return this.chance.next();
  }

  connect(url: string, protocols: readonly string[], handlers: SocketHandlers): Socket {
    assert.equal(protocols[0], 'imserver.v1');
    const tunnel = new Tunnel(this, Number(url.slice(url.lastIndexOf('/') + 1)), handlers);
    this.tunnels.add(tunnel);
    tunnel.open(protocols[1]!.slice('bearer.'.length));
    return tunnel;
  }

  request({ method, url, headers, body, timeoutMs }: HttpRequest): Promise<HttpResponse> {
    const path = url.slice(url.indexOf('/v1/'));
    return this.call(headers, timeoutMs, (token) => this.server.answer(method, path, token, body as string | undefined));
  }

  upload({ headers, timeoutMs, file, fields, progress }: UploadRequest) {
    assert.equal(fields['kind'], 'image');
    this.clock.after(this.delay() / 2, () => {
      progress(0.5);
    });
    let cancel!: () => void;
    const cancelled = new Promise<never>((_, reject) => {
      cancel = () => {
        reject(new Error('cancelled'));
      };
    });
    const done = Promise.race([cancelled, this.call(headers, timeoutMs, (token) => this.server.upload(token, file))]);
    return { done, cancel };
  }

  private call(headers: HttpRequest['headers'], timeoutMs: number, ask: (token: string) => Answer): Promise<HttpResponse> {
    this.called();
    return new Promise((resolve, reject) => {
      const fail = (after: number) =>
        this.clock.after(after, () => {
          reject(new Error('network'));
        });
      fail(timeoutMs);
      if (!this.networked || !this.server.up) {
        fail(this.delay());
        return;
      }
      const failed = this.chance.is(this.faults.fail);
      if (failed && this.chance.is(0.5)) {
        fail(this.delay());
        return;
      }
      this.clock.after(this.delay(), () => {
        if (!this.server.up) return;
        const busy = failed && this.chance.is(0.5);
        const { status, json } = busy
          ? { status: 503, json: { code: 'unavailable' } }
          : ask((headers['Authorization'] ?? '').slice('Bearer '.length));
        if (failed && !busy) return;
        const answer = { status, headers: busy ? { 'Retry-After': '1' } : {}, body: json === undefined ? '' : JSON.stringify(json) };
        this.clock.after(this.delay(), () => {
          resolve(answer);
        });
      });
    });
  }

  delay(): number {
    return this.chance.next() * this.faults.delayMs;
  }

  /** The platform allows five in a second. */
  called(): void {
    const now = this.time.now();
    this.calls.push(now);
    const sixth = this.calls[this.calls.length - 6];
    assert.ok(sixth === undefined || now - sixth >= 1000, 'more than five calls in a second');
  }

  kill(): void {
    this.killed = true;
    for (const tunnel of this.tunnels) tunnel.cut(false);
  }

  /** All sockets die: both sides notice, or none. */
  cut(silently: boolean): void {
    for (const tunnel of this.tunnels) tunnel.cut(!silently);
  }

  setNetwork(connected: boolean): void {
    this.networked = connected;
    if (!connected) this.cut(true);
  }

  forget(tunnel: Tunnel): void {
    this.tunnels.delete(tunnel);
  }
}

class Tunnel implements Socket, Wire {
  /** Nothing gets through any more, whether or not the client knows. */
  private dead = false;
  private accepted = false;
  private over = false;
  private upAt = 0;
  private downAt = 0;

  constructor(
    private readonly app: App,
    readonly userId: number,
    private readonly handlers: SocketHandlers,
  ) {}

  open(token: string): void {
    const { app } = this;
    if (!app.networked) this.dead = true;
    if (!app.networked || !app.server.up || app.chance.is(app.faults.fail)) {
      this.closeClient(1006, '');
      return;
    }
    app.clock.after(app.delay(), () => {
      if (this.dead || this.over) return;
      this.accepted = app.server.accept(this, token);
      if (!this.accepted) this.closeClient(1006, '');
      else this.down(() => {
        this.handlers.opened();
      }, false);
    });
  }

  send(text: string): void {
    this.app.called();
    this.up(() => {
      this.app.server.receive(this, text);
    });
  }

  close(): void {
    this.over = true;
    this.app.forget(this);
    this.up(() => {
      this.app.server.gone(this);
    });
  }

  toClient(text: string): void {
    this.down(() => {
      this.handlers.message(text);
    }, true);
  }

  closeClient(code: number, reason: string): void {
    const { clock } = this.app;
    clock.after(Math.max(this.downAt - clock.now(), 0) + this.app.delay(), () => {
      this.end(code, reason);
    });
  }

  cut(told: boolean): void {
    this.dead = true;
    this.app.server.gone(this);
    if (told) this.closeClient(1006, '');
  }

  private end(code: number, reason: string): void {
    if (this.over) return;
    this.over = true;
    this.app.forget(this);
    this.handlers.closed(code, reason);
  }

  private up(run: () => void): void {
    const { time, chance, faults } = this.app;
    if (chance.is(faults.drop)) return;
    const times = chance.is(faults.double) ? 2 : 1;
    for (let count = 0; count < times; count += 1) {
      this.upAt = Math.max(this.upAt, time.now() + this.app.delay());
      // The last frames of a killed app may still arrive.
      time.after(this.upAt - time.now(), () => {
        if (!this.dead && this.accepted) run();
      });
    }
  }

  private down(run: () => void, faulty: boolean): void {
    const { time, chance, faults, clock } = this.app;
    if (faulty && chance.is(faults.drop)) return;
    const times = faulty && chance.is(faults.double) ? 2 : 1;
    for (let count = 0; count < times; count += 1) {
      const at = time.now() + this.app.delay();
      this.downAt = faulty && chance.is(faults.reorder) ? at : Math.max(this.downAt, at);
      clock.after(this.downAt - time.now(), () => {
        if (!this.dead && !this.over) run();
      });
    }
  }
}
