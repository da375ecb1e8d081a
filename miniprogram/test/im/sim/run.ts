// One random run: a phone and its user, people who write, and faults. Then the faults end,
// and the page must show what the service has.

import assert from 'node:assert/strict';

import type { ChatItem, ConversationId, ConversationKey, Draft, GroupKey, ImClient, Quote, Session, UserId, createClient } from '../../../miniprogram/imkit/core/index';
import { Chance } from './chance';
import { Page } from './page';
import { App, CALM, Disk, type Faults } from './phone';
import { FakeServer } from './server';
import { BAD, HELD, REFUSED } from './store';
import { VirtualTime } from './time';

const ME = 1 as UserId;
const PEERS = [2, 3, 4, ME] as UserId[];
/** Two groups, which begin with the run. */
const GROUPS: readonly GroupKey[] = [`g${1 as ConversationId}`, `g${2 as ConversationId}`];
const KEYS: readonly ConversationKey[] = [...PEERS, ...GROUPS];

interface Sent {
  readonly key: ConversationKey;
  /** The words, or the file. */
  readonly content: string;
  /** Discarded by the user, who may have been too late. */
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
  private readonly opened = new Set<ConversationKey>();
  /** Groups that one has left for a while. */
  private readonly wasLeft = new Set<ConversationKey>();
  /** What is used more than the others, so that some conversations are long. */
  private readonly favourite: ConversationKey;
  private watched: readonly UserId[] = [];
  private app!: App;
  private client!: ImClient;
  private page!: Page;
  private session: Session;
  private count = 0;
  /** The faults have ended. */
  private calm = false;

  constructor(
    private readonly create: typeof createClient,
    seed: number,
    private readonly weather: Weather,
  ) {
    this.chance = new Chance(seed);
    this.favourite = this.chance.pick(KEYS);
    this.server = new FakeServer(this.time, this.chance);
    this.session = this.logIn();
    this.server.group(ME, 'friends', [2, 3]);
    this.server.group(2, 'climbing', [ME, 4]);
    for (let count = this.chance.below(40); count > 0; count -= 1) this.peerWrites();
    if (weather.rough) this.server.busy = 0.1;
    if (weather.rough && this.chance.is(0.3)) this.disk.room = 8000 + this.chance.below(20_000);
    this.launch();
  }

  async run(): Promise<void> {
    for (let steps = 30 + this.chance.below(40); steps > 0; steps -= 1) {
      this.step();
      this.checkGaps();
      await this.time.pass(this.chance.pick([0, 20, 200, 1000, 4000, this.weather.rough ? 30_000 : 0]));
    }
    await this.calmDown();
    this.checkSent();
    this.checkWatched();
    await this.checkShown();
    await this.checkRead();
  }

  private note(what: string): void {
    this.story.push(`${this.time.now() % 1e8} ${what} [${this.client.connection.phase}]`);
  }

  private step(): void {
    const { chance, client } = this;
    const at = chance.next();
    if (at < 0.21) this.write();
    else if (at < 0.38) this.peerWrites();
    else if (at < 0.42) this.peerReads();
    else if (at < 0.5) this.openOrClose();
    else if (at < 0.55) client.markRead(this.anyKey());
    else if (at < 0.57) client.typing(chance.pick(KEYS));
    else if (at < 0.59) client.watch((this.watched = PEERS.slice(chance.below(3))));
    else if (at < 0.61) client.loadOlder(this.anyKey()).catch(() => undefined);
    else if (at < 0.64) this.giveUpOrRetry();
    else if (at < 0.65) client.refreshConversations().catch(() => undefined);
    else if (at < 0.67) this.otherDevice();
    else if (at < 0.68) this.server.strange(ME);
    else if (at < 0.73) this.takeBack();
    else if (at < 0.76) this.arrange();
    else if (at < 0.79) this.regroup();
    else if (at < 0.8) this.server.decide();
    else if (this.weather.rough) this.trouble();
    else this.hideOrShow();
  }

  private anyKey(): ConversationKey {
    return this.chance.is(0.4) ? this.favourite : this.chance.pick(KEYS);
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
        this.restart();
        // And again, maybe before what was missed is loaded.
        if (chance.is(0.3)) {
          this.time.after(chance.below(25_000), () => {
            if (!this.calm) this.restart();
          });
        }
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

  /** The app is killed and comes back, maybe to the pages that it showed. */
  private restart(): void {
    this.note('app killed');
    this.app.kill();
    const pages = this.chance.is(0.6) ? [...this.opened] : [];
    this.launch();
    for (const key of pages) this.open(key);
  }

  private open(key: ConversationKey): void {
    this.opened.add(key);
    this.page.open(key);
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
    const { chance } = this;
    const key = this.anyKey();
    const kind = chance.next();
    const number = (this.count += 1);
    const words = kind < 0.05 ? REFUSED : kind < 0.1 ? HELD : kind < 0.13 ? BAD : 'mine';
    const isFile = kind > 0.85;
    const content = `${isFile && kind > 0.97 ? REFUSED : words} ${number}`;
    const quoted = chance.is(0.2) ? this.client.chats(key).items.filter(({ id }) => id !== null) : [];
    const replyTo = quoted.length > 0 ? ({ ...chance.pick(quoted), state: null } as Quote) : undefined;
    const draft: Draft = isFile ? { kind: 'image', content: '[图片]', file: content } : { content, ...(replyTo && { replyTo }) };
    const result = this.client.send(key, replyTo || isFile ? draft : content);
    this.note(`writes to ${key}: ${content} ${JSON.stringify(result)}`);
    if (result.ok) this.sent.push({ key, content, discarded: false, resent: false });
    else assert.ok(result.code === 'storage_full' && this.disk.room < Infinity, 'a send is taken');
  }

  private conversationOf(key: ConversationKey) {
    return typeof key === 'number' ? this.server.conversation(ME, key) : this.server.byId(Number(key.slice(1)));
  }

  private peerWrites(): void {
    const { chance, server } = this;
    const number = (this.count += 1);
    const key = chance.is(0.4) ? this.favourite : chance.pick([...PEERS.slice(0, 3), ...GROUPS]);
    if (typeof key === 'number') {
      const peer = key;
      const old = chance.pick(server.conversation(peer, ME)?.chats ?? [null]);
      if (old && chance.is(0.2)) server.say(peer, old.conversationId, `quotes ${number}`, `peer-${number}`, { replyTo: old.id });
      else server.store(peer, ME, `from ${peer}: ${number}`, `peer-${number}`);
      return;
    }
    const group = this.conversationOf(key)!;
    const peer = chance.pick([...group.people.keys()].filter((id) => id !== ME));
    const replyTo = chance.is(0.3) ? chance.pick(group.chats).id : undefined;
    const mentions = chance.is(0.2) ? chance.pick(['all', [ME]]) : undefined;
    server.say(peer, group.id, `${peer} in ${group.title}: ${number}`, `peer-${number}`, { ...(replyTo && { replyTo }), mentions });
  }

  private peerReads(): void {
    const peer = this.chance.pick(PEERS.slice(0, 3));
    const conversation = this.server.conversation(peer, ME);
    if (conversation) this.server.read(peer, conversation.id, this.chance.pick(conversation.chats).id);
  }

  /** Chats are recalled or deleted, here or elsewhere. */
  private takeBack(): void {
    const { chance, client, server } = this;
    const key = this.anyKey();
    const chats = server.visible(ME, this.conversationOf(key));
    if (chats.length === 0) return;
    // More often the last one, or one that is quoted.
    const quoted = chats.filter(({ id }) => chats.some(({ replyTo }) => replyTo === id));
    const chat = chance.is(0.4) ? chats[chats.length - 1]! : chance.pick(quoted.length > 0 && chance.is(0.6) ? quoted : chats);
    this.note(`takes back ${chat.id} of ${key}`);
    const how = chance.next();
    if (how < 0.3) server.remove(ME, chat);
    else if (how < 0.45) client.remove(chat.id as never).catch(() => undefined);
    else if (how < 0.6) client.recall(chat.id as never).catch(() => undefined);
    else if (chat.kind !== 'system') server.recall(chat);
  }

  /** Conversations are pinned, muted, hidden and so on, here or elsewhere. */
  private arrange(): void {
    const { chance, client, server } = this;
    const key = chance.pick(KEYS);
    const conversation = this.conversationOf(key);
    if (!conversation || this.isLeft(key)) return;
    const is = chance.is(0.5);
    const own = chance.pick([{ pinned: is }, { muted: is }, { markedUnread: is }, { draft: is ? 'draft' : null }]);
    const last = conversation.chats[conversation.chats.length - 1]?.id ?? 0;
    const at = chance.below(6);
    this.note(`arranges ${key}: ${at} ${JSON.stringify(own)}`);
    if (at < 2) server.keep(ME, conversation, own);
    else if (at < 3) client.set(key, own).catch(() => undefined);
    else if (at < 4) server.keep(ME, conversation, { hiddenUpTo: last });
    else if (at < 5) server.keep(ME, conversation, { clearedUpTo: last });
    else client.hideConversation(key).catch(() => undefined);
  }

  private isLeft(key: ConversationKey): boolean {
    return typeof key === 'string' && !this.server.listed(ME).some(({ id }) => `g${id}` === key) && this.wasLeft.has(key);
  }

  /** One leaves a group, or comes back; or it is renamed. */
  private regroup(): void {
    const { chance, server, favourite } = this;
    const key = typeof favourite === 'string' && chance.is(0.6) ? favourite : chance.pick(GROUPS);
    const group = this.conversationOf(key)!;
    this.note(`regroups ${key}`);
    if (chance.is(0.4)) server.rename(group, `title ${(this.count += 1)}`);
    else if (this.isLeft(key)) {
      // Of which one is not told.
      const chats = server.visible(ME, group).filter(({ kind }) => kind !== 'system');
      for (let many = chance.below(4); many > 0 && chats.length > 0; many -= 1) server.recall(chance.pick(chats));
      server.join(group, [ME]);
    }
    else if (chance.is(0.8)) {
      this.wasLeft.add(key);
      server.leave(group, ME);
    }
  }

  /** The same user on another device writes and reads. */
  private otherDevice(): void {
    const peer = this.chance.pick(PEERS);
    this.server.store(ME, peer, `other ${(this.count += 1)}`, `other-${this.count}`);
    const { id, chats } = this.server.conversation(ME, peer)!;
    if (this.chance.is(0.5)) this.server.read(ME, id, this.chance.pick(chats).id);
  }

  private openOrClose(): void {
    const key = this.anyKey();
    this.note(`opens or closes ${key}`);
    if (this.opened.delete(key)) {
      this.page.close(key);
    } else {
      this.open(key);
    }
  }

  private giveUpOrRetry(): void {
    for (const key of this.opened) {
      const failed = this.client.chats(key).items.find(({ status }) => status !== 'sent' && (status === 'failed' || this.chance.is(0.1)));
      const sent = failed && this.sentBy(key, failed);
      if (!sent) continue;
      if (this.chance.is(0.5)) sent.discarded = this.client.discard(key, failed.key) || sent.discarded;
      else sent.resent = this.client.resend(key, failed.key) || sent.resent;
    }
  }

  /** What was sent as this item. */
  private sentBy(key: ConversationKey, item: ChatItem): Sent | undefined {
    const { content, file = null } = item as ChatItem & { file?: string };
    return this.sent.find((one) => one.key === key && one.content === (file ?? content) && !one.discarded);
  }

  /** Ends the faults, and lets time pass. */
  private async calmDown(): Promise<void> {
    const { app, server, client, weather } = this;
    this.note('calm');
    this.calm = true;
    app.faults = CALM;
    server.busy = 0;
    server.up = true;
    app.networked = true;
    client.network(true);
    client.show();
    this.disk.room = Infinity;
    await this.time.pass(120_000);
    server.decide();
    await this.time.pass(5000);
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
    for (const key of KEYS) {
      const id = this.conversationOf(key)?.id;
      const mine = this.sent.filter((one) => one.key === key);
      const stored = this.server.said
        .filter(({ conversationId, userId, content }) => conversationId === id && userId === ME && /^(mine|refused|held)/.test(content))
        .map(({ content }) => content);
      assert.equal(new Set(stored).size, stored.length, 'each once');
      assert.ok(!stored.some((content) => content.startsWith(REFUSED) || content.startsWith(BAD)), 'nothing that is refused');
      const inOrder = mine.filter(({ content, resent }) => !resent && stored.includes(content) && !content.startsWith(HELD));
      const order = stored.filter((content) => inOrder.some((one) => one.content === content));
      assert.deepEqual(order, inOrder.map(({ content }) => content), 'in the order of writing');
      const isFine = ({ content }: Sent) => stored.includes(content) || content.startsWith(REFUSED) || content.startsWith(BAD);
      // What is written into a group that one has left fails.
      const lost = mine.filter((one) => !isFine(one) && !one.discarded && !this.wasLeft.has(key));
      assert.deepEqual(lost, [], 'each one arrives');
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
    const own = server.conversation(ME, ME)?.id;
    const listed = server.listed(ME);
    const rows = listed.map((row) => ({
      ...row,
      title: 'title' in row ? row.title : row.peer.name,
      role: 'role' in row ? row.role : null,
      memberCount: 'memberCount' in row ? row.memberCount : 0,
      lastChat: row.lastChat && { ...row.lastChat, recalled: row.lastChat.state !== undefined },
    }));
    const brief = (one: Omit<(typeof rows)[number], 'peer' | 'kind' | 'version' | 'position' | 'lastChat'> & { lastChat: { id: number; content: string; recalled: boolean } | null; peerReadUpTo?: number }) => {
      const { id, title, role, memberCount, unread, readUpTo, pinned, muted, markedUnread, draft, mentioned, lastChat } = one;
      // The other side of a conversation with oneself is oneself.
      const peerReadUpTo = Math.max(one.peerReadUpTo ?? 0, id === own ? readUpTo : 0);
      const last = lastChat && [lastChat.id, lastChat.content, lastChat.recalled];
      return { id, title, role, memberCount, unread, readUpTo, peerReadUpTo, pinned, muted, markedUnread, draft, mentioned, last };
    };
    assert.deepEqual(this.page.rows.map(brief), rows.map(brief), 'the list is the service’s');
    const total = listed.reduce((sum, { muted, unread }) => sum + (muted ? 0 : unread), 0);
    assert.equal(client.unreadTotal, Math.min(total, 100), 'the total is the service’s');
    for (const key of KEYS) {
      const chats = server.visible(ME, this.conversationOf(key));
      // Nobody is told what becomes of a group after leaving.
      if (this.isLeft(key) && this.opened.delete(key)) this.page.close(key);
      if (this.opened.has(key)) this.checkEnd(key, chats.map(({ id }) => id));
      else this.page.open(key);
      await this.time.pass(5000);
      while (client.chats(key).hasMore) await this.during(client.loadOlder(key));
      const items = this.page.chats.get(key)!;
      const words = ({ id, content, state, replyTo }: { id: number; content: string; state?: string | null; replyTo?: { content: string } | null | undefined }) =>
        `${id}: ${content} ${state ?? ''} ${replyTo ? `“${replyTo.content}”` : ''}`;
      const shown = items.filter(({ id }) => id !== null) as (ChatItem & { id: number })[];
      assert.deepEqual(shown.map(words), chats.map((chat) => words(server.shown(chat))), 'all is shown as it is, once, in order');
      const rest = items.filter(({ id }) => id === null);
      const failed = this.sent.filter((one) => one.key === key && this.isRefused(one));
      const isHere = (one: Sent) => rest.some((item) => this.sentBy(key, item) === one);
      assert.deepEqual(failed.filter((one) => !isHere(one)), [], 'what is refused is shown');
      if (!this.wasLeft.has(key)) assert.equal(rest.length, failed.length, 'nothing else is left');
      for (const { content, status, failure, detail } of rest) {
        assert.equal(status, 'failed', 'the outbox is empty');
        if (content.startsWith(BAD) && !this.wasLeft.has(key)) assert.deepEqual([failure, detail], ['content_rejected', 'not this'], 'it says why');
      }
    }
  }

  /** What is read is read, here and at the service, and no mark says otherwise. */
  private async checkRead(): Promise<void> {
    const { client, server } = this;
    const read = KEYS.filter((key) => !this.isLeft(key) && server.visible(ME, this.conversationOf(key)).length > 0);
    for (const key of read) client.markRead(key);
    await this.time.pass(5000);
    // On another device: then the mark alone says so.
    for (const key of read) server.keep(ME, this.conversationOf(key)!, { markedUnread: true });
    await this.time.pass(1000);
    for (const key of read) client.markRead(key);
    await this.time.pass(5000);
    for (const key of read) {
      const { unread, markedUnread } = server.row(ME, this.conversationOf(key)!);
      assert.deepEqual([key, unread, markedUnread], [key, 0, false], 'it is read');
      const shown = client.conversation(key)!;
      assert.deepEqual([key, shown.unread, shown.markedUnread], [key, 0, false], 'it is shown as read');
    }
  }

  /** What is shown has no gap, at any time, once it is loaded. */
  private checkGaps(): void {
    for (const key of this.opened) {
      const { items, loaded } = this.client.chats(key);
      const shown = new Set(items.map(({ id }) => id as number | null).filter((id) => id !== null));
      const ends = [Math.min(...shown), Math.max(...shown)] as const;
      if (!loaded || this.isLeft(key)) continue;
      const missing = this.server.visible(ME, this.conversationOf(key)).filter(({ id }) => id > ends[0] && id < ends[1] && !shown.has(id));
      assert.deepEqual(missing.map(({ id }) => id), [], 'no gap in what is shown');
    }
  }

  private isRefused({ content, discarded, key }: Sent): boolean {
    return !discarded && !this.wasLeft.has(key) && (content.startsWith(REFUSED) || content.startsWith(BAD));
  }

  /** An open conversation shows the newest chats without a gap. */
  private checkEnd(key: ConversationKey, stored: readonly number[]): void {
    const shown = this.page.chats.get(key)!.map(({ id }) => id).filter((id) => id !== null);
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
