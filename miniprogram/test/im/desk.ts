// A phone with a client, and a service, in virtual time.

import assert from 'node:assert/strict';

import type { ClientOptions, ImClient, Report, Session, UserId } from '../../miniprogram/imkit/core/index';
import { core } from './core';
import { Chance } from './sim/chance';
import { App, Disk } from './sim/phone';
import { FakeServer } from './sim/server';
import { VirtualTime } from './sim/time';

export const ME = 1 as UserId;
export const LI = 2 as UserId;

export class Desk {
  readonly time = new VirtualTime();
  readonly chance = new Chance(1);
  readonly server = new FakeServer(this.time, this.chance);
  readonly disk = new Disk();
  readonly reports: Report['code'][] = [];
  readonly session: Session = this.sessionOf(ME);
  logins = 0;
  connects: number[] = [];
  /** What the client has sent, over all sockets. */
  readonly frames: { readonly at: number; readonly type: string; readonly [key: string]: unknown }[] = [];
  /** What it has asked for over HTTP. */
  readonly asked: string[] = [];
  app!: App;
  client!: ImClient;

  constructor(options: Partial<ClientOptions> = {}, stored: Iterable<readonly [string, string]> = []) {
    for (const [key, text] of stored) this.disk.set(key, text);
    this.launch(options);
  }

  launch(options: Partial<ClientOptions> = {}): void {
    const app = new App(this.time, this.chance, this.server, this.disk);
    const connect = app.connect.bind(app);
    app.connect = (...args) => {
      this.connects.push(this.time.now());
      const socket = connect(...args);
      const send = socket.send.bind(socket);
      socket.send = (text) => {
        this.frames.push({ at: this.time.now(), ...(JSON.parse(text) as { type: string }) });
        send(text);
      };
      return socket;
    };
    const request = app.request.bind(app);
    app.request = (asked) => {
      this.asked.push(`${asked.method} ${asked.url}`);
      return request(asked);
    };
    this.app = app;
    this.client = core.createClient({
      server: 'http://server',
      platform: app,
      session: this.session,
      login: () => {
        this.logins += 1;
        return Promise.resolve(this.sessionOf(ME));
      },
      ...options,
    });
    this.client.onReport(({ code }) => this.reports.push(code));
    this.client.start();
  }

  async online(): Promise<this> {
    await this.time.pass(3000);
    assert.equal(this.client.connection.phase, 'online');
    return this;
  }

  sessionOf(id: UserId): Session {
    return { token: this.server.login(id), user: { id, name: `user ${id}`, avatarUrl: null } };
  }

  sent(type: string) {
    return this.frames.filter((frame) => frame.type === type);
  }
}
