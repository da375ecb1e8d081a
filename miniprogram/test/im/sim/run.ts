// One random run: a phone and its user, people who write, and faults. Then the faults end,
// and the page must show what the service has.

import assert from 'node:assert/strict';

import type { ImClient, Session, UserId, createClient } from '../../../miniprogram/im/index';
import { Chance } from './chance';
import { Page } from './page';
import { App, CALM, Disk, type Faults } from './phone';
import { FakeServer, REFUSED } from './server';
import { VirtualTime } from './time';

const ME = 1 as UserId;
const PEERS = [2, 3, 4, ME] as UserId[];

interface Sent {
  readonly peerId: UserId;
  readonly content: string;
  /** Discarded by the user. */
  discarded: boolean;
  /** Sent again after a failure, so at a later place. */
  resent: boolean;
}

/** The faults of a run. `kind` is for the message of a failure. */
interface Weather {
  readonly kind: string;
  readonly faults: Faults;
  /** Whether sockets die, apps are killed, sessions end, the service restarts. */
  readonly rough: boolean;
}

const WEATHERS: readonly Weather[] = [
  { kind: 'calm', faults: CALM, rough: false },
  { kind: 'slow', faults: { ...CALM, delayMs: 6000 }, rough: true },
  { kind: 'rough', faults: { ...CALM, fail: 0.15, delayMs: 400 }, rough: true },
  { kind: 'unruly', faults: { drop: 0.05, double: 0.05, reorder: 0.05, fail: 0.1, delayMs: 1500 }, rough: true },
];

export type Create = typeof createClient;

/** Throws if anything was lost, duplicated or out of order. */
export async function run(create: Create, seed: number): Promise<void> {
  const weather = WEATHERS[seed % WEATHERS.length]!;
  const world = new World(create, seed, weather);
  try {
    await world.run();
  } catch (error) {
    throw new Error(`seed ${seed} (${weather.kind}): ${String(error)}\n${world.story.slice(-25).join('\n')}`, { cause: error });
  }
}

class World {
  readonly story: string[] = [];
  private readonly time = new VirtualTime();
  private readonly chance: Chance;
  private readonly server: FakeServer;
  private readonly disk = new Disk();
  private readonly sent: Sent[] = [];
  private readonly opened = new Set<UserId>();
  private watched: readonly UserId[] = [];
  private app!: App;
  private client!: ImClient;
  private page!: Page;
  private session: Session;
  private count = 0;

  constructor(
    private readonly create: typeof createClient,
    seed: number,
    private readonly weather: Weather,
  ) {
    this.chance = new Chance(seed);
    this.server = new FakeServer(this.time, this.chance);
    this.session = this.logIn();
    for (let count = this.chance.below(40); count > 0; count -= 1) this.peerWrites();
    if (weather.rough) this.server.busy = 0.1;
    if (weather.rough && this.chance.is(0.3)) this.disk.room = 8000 + this.chance.below(20_000);
    this.launch();
  }

  async run(): Promise<void> {
    for (let steps = 30 + this.chance.below(40); steps > 0; steps -= 1) {
      this.step();
      await this.time.pass(this.chance.pick([0, 20, 200, 1000, 4000, this.weather.rough ? 30_000 : 0]));
    }
    await this.calmDown();
    this.checkSent();
    this.checkWatched();
    await this.checkShown();
  }

  private note(what: string): void {
    this.story.push(`${this.time.now() % 1e8} ${what} [${this.client.connection.phase}]`);
  }

  private step(): void {
    const { chance, client } = this;
    const at = chance.next();
    if (at < 0.25) this.write();
    else if (at < 0.45) this.peerWrites();
    else if (at < 0.5) this.peerReads();
    else if (at < 0.6) this.openOrClose();
    else if (at < 0.65) client.markRead(chance.pick(PEERS));
    else if (at < 0.68) client.typing(chance.pick(PEERS));
    else if (at < 0.7) client.watch((this.watched = PEERS.slice(chance.below(3))));
    else if (at < 0.73) client.loadOlder(chance.pick(PEERS)).catch(() => undefined);
    else if (at < 0.75) this.giveUpOrRetry();
    else if (at < 0.76) client.refreshConversations().catch(() => undefined);
    else if (at < 0.78) this.otherDevice();
    else if (at < 0.79) this.server.strange(ME);
    else if (this.weather.rough) this.trouble();
    else this.hideOrShow();
  }

  private trouble(): void {
    const { chance, server, app } = this;
    switch (chance.below(10)) {
      case 0:
        this.note('sockets die, seen');
        app.cut(false);
        break;
      case 1:
        this.note('sockets die, unseen');
        app.cut(true);
        break;
      case 2:
      case 3:
        this.note('app killed');
        app.kill();
        this.launch();
        break;
      case 4:
        this.note('session ends');
        // Half of the time the client has no socket.
        if (chance.is(0.5)) app.cut(false);
        server.expire(ME);
        break;
      case 5:
        this.note('service restarts');
        if (chance.is(0.5)) server.drain();
        else server.crash();
        this.time.after(chance.below(20_000), () => (server.up = true));
        break;
      case 6:
        this.note('another epoch');
        server.rotateEpoch();
        break;
      case 7:
        this.note('network');
        app.setNetwork(!app.networked);
        this.client.network(app.networked);
        break;
      case 8:
        for (let many = chance.below(60); many > 0; many -= 1) this.peerWrites();
        break;
      default:
        this.hideOrShow();
    }
  }

  private hideOrShow(): void {
    if (this.chance.is(0.5)) {
      this.note('hide');
      this.client.hide();
    } else {
      this.note('show');
      this.client.show();
    }
  }

  private launch(): void {
    this.app = new App(this.time, this.chance, this.server, this.disk);
    this.app.faults = this.weather.faults;
    this.client = this.create({
      server: 'http://server',
      platform: this.app,
      session: this.session,
      login: () => {
        const session = this.logIn();
        return new Promise((resolve, reject) => {
          this.app.clock.after(this.app.delay(), () => {
            if (this.chance.is(this.app.faults.fail)) reject(new Error('no'));
            else resolve(session);
          });
        });
      },
    });
    this.client.subscribe(({ session }) => {
      if (session) this.session = session;
    });
    this.page = new Page(this.client);
    this.opened.clear();
    this.watched = [];
    this.client.start();
  }

  private logIn(): Session {
    return { token: this.server.login(ME), user: { id: ME, name: 'user 1', avatarUrl: null } };
  }

  private write(): void {
    const peerId = this.chance.pick(PEERS);
    const content = `${this.chance.is(0.05) ? REFUSED : 'mine'} ${(this.count += 1)}`;
    const result = this.client.send(peerId, content);
    this.note(`writes to ${peerId}: ${content} ${JSON.stringify(result)}`);
    if (result.ok) this.sent.push({ peerId, content, discarded: false, resent: false });
    else assert.ok(result.code === 'storage_full' && this.disk.room < Infinity, 'a send is taken');
  }

  private peerWrites(): void {
    const peer = this.chance.pick(PEERS.slice(0, 3));
    this.server.store(peer, ME, `from ${peer}: ${(this.count += 1)}`, `peer-${this.count}`);
  }

  private peerReads(): void {
    const peer = this.chance.pick(PEERS.slice(0, 3));
    const conversation = this.server.conversation(peer, ME);
    if (conversation) this.server.read(peer, conversation.id, this.chance.pick(conversation.chats).id);
  }

  /** The same user on another device writes and reads. */
  private otherDevice(): void {
    const peer = this.chance.pick(PEERS);
    this.server.store(ME, peer, `other ${(this.count += 1)}`, `other-${this.count}`);
    const { id, chats } = this.server.conversation(ME, peer)!;
    if (this.chance.is(0.5)) this.server.read(ME, id, this.chance.pick(chats).id);
  }

  private openOrClose(): void {
    const peerId = this.chance.pick(PEERS);
    this.note(`opens or closes ${peerId}`);
    if (this.opened.delete(peerId)) {
      this.page.close(peerId);
    } else {
      this.opened.add(peerId);
      this.page.open(peerId);
    }
  }

  private giveUpOrRetry(): void {
    for (const peerId of this.opened) {
      const failed = this.client.chats(peerId).items.find(({ status }) => status === 'failed');
      const sent = this.sent.find(({ content, discarded }) => content === failed?.content && !discarded);
      if (!failed || !sent) continue;
      if (this.chance.is(0.5)) sent.discarded = this.client.discard(peerId, failed.key);
      else sent.resent = this.client.resend(peerId, failed.key);
    }
  }

  /** Ends the faults, and lets time pass. */
  private async calmDown(): Promise<void> {
    const { app, server, client, weather } = this;
    this.note('calm');
    app.faults = CALM;
    server.busy = 0;
    server.up = true;
    app.networked = true;
    client.network(true);
    client.show();
    this.disk.room = Infinity;
    await this.time.pass(120_000);
    if (weather.faults.drop > 0) {
      // What was lost silently is noticed when the next socket opens.
      client.hide();
      client.show();
      await this.time.pass(60_000);
    }
    this.note('end');
    assert.equal(client.connection.phase, 'online');
  }

  /** Every accepted chat is at the service once, in the order of writing; or the user knows. */
  private checkSent(): void {
    for (const peerId of PEERS) {
      const stored = (this.server.conversation(ME, peerId)?.chats ?? []).map(({ content }) => content);
      const mine = this.sent.filter((one) => one.peerId === peerId);
      const good = mine.filter(({ content }) => !content.startsWith(REFUSED)).map(({ content }) => content);
      const here = stored.filter((content) => content.startsWith('mine'));
      assert.deepEqual(here, good, 'each once, in the order of writing');
    }
  }

  /** The service shows the presence of all who are on the screen and have a conversation. */
  private checkWatched(): void {
    const known = this.watched.filter((peerId) => this.server.conversation(ME, peerId));
    assert.deepEqual(new Set(this.server.watchedBy(ME)), new Set(known), 'who is on the screen is watched');
  }

  private async checkShown(): Promise<void> {
    const { client, server } = this;
    while (client.hasMoreConversations) await this.during(client.loadMoreConversations());
    const rows = server.conversations.map((conversation) => server.row(ME, conversation)).sort((a, b) => b.lastChat.id - a.lastChat.id);
    const brief = (one: { id: number; unread: number; readUpTo: number; peerReadUpTo: number; lastChat: { id: number } }) => {
      const { id, unread, readUpTo, peerReadUpTo, lastChat } = one;
      return { id, unread, readUpTo, peerReadUpTo, lastChat: lastChat.id };
    };
    // The other side of a conversation with oneself is oneself.
    const marks = (row: ReturnType<typeof brief>) => ({ ...row, peerReadUpTo: Math.max(row.peerReadUpTo, row.readUpTo) });
    const own = server.conversation(ME, ME)?.id;
    const list = (all: readonly ReturnType<typeof brief>[]) => all.map((row) => (row.id === own ? marks(row) : row));
    assert.deepEqual(list(this.page.rows.map(brief)), list(rows.map(brief)), 'the list is the service’s');
    for (const peerId of PEERS) {
      const chats = server.conversation(ME, peerId)?.chats ?? [];
      if (this.opened.has(peerId)) this.checkEnd(peerId, chats.map(({ id }) => id));
      else this.page.open(peerId);
      await this.time.pass(5000);
      while (client.chats(peerId).hasMore) await this.during(client.loadOlder(peerId));
      const items = this.page.chats.get(peerId)!;
      const ids = items.map(({ id }) => id).filter((id) => id !== null);
      assert.deepEqual(ids, chats.map(({ id }) => id), 'all is shown, once, in order');
      const rest = items.filter(({ id }) => id === null);
      const failed = this.sent.filter((one) => one.peerId === peerId && one.content.startsWith(REFUSED) && !one.discarded);
      assert.deepEqual(new Set(rest.map(({ content }) => content)), new Set(failed.map(({ content }) => content)));
      assert.ok(rest.every(({ status }) => status === 'failed'), 'the outbox is empty');
    }
  }

  /** An open conversation shows the newest chats without a gap. */
  private checkEnd(peerId: UserId, stored: readonly number[]): void {
    const shown = this.page.chats.get(peerId)!.map(({ id }) => id).filter((id) => id !== null);
    assert.deepEqual(shown, shown.length === 0 ? [] : stored.slice(-shown.length), 'the newest ones, without a gap');
    assert.ok(shown.length >= Math.min(stored.length, 1), 'something is shown');
  }

  /** Lets time pass while something is loaded. */
  private async during(loading: Promise<void>): Promise<void> {
    await Promise.all([loading, this.time.pass(5000)]);
    // The page shows what was loaded a moment later.
    await this.time.pass(100);
  }
}
