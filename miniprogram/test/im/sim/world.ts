// A phone and its user, people who write, and faults: what happens in a random run.

import assert from 'node:assert/strict';

import type { ChatItem, ConversationId, ConversationKey, Draft, GroupKey, ImClient, Quote, Session, UserId, createClient } from '../../../miniprogram/imkit/core/index';
import { Chance } from './chance';
import { Page } from './page';
import { App, CALM, Disk, type Faults } from './phone';
import { FakeServer } from './server';
import { BAD, HELD, REFUSED } from './store';
import { VirtualTime } from './time';

export const ME = 1 as UserId;
export const PEERS = [2, 3, 4, ME] as UserId[];
/** Two groups, which begin with the run. */
export const GROUPS: readonly GroupKey[] = [`g${1 as ConversationId}`, `g${2 as ConversationId}`];
export const KEYS: readonly ConversationKey[] = [...PEERS, ...GROUPS];

export interface Sent {
  readonly key: ConversationKey;
  /** The words, or the file. */
  readonly content: string;
  /** Discarded by the user, who may have been too late. */
  discarded: boolean;
  /** Sent again after a failure, so at a later place. */
  resent: boolean;
}

/** The faults of a run. `kind` is for the message of a failure. */
export interface Weather {
  readonly kind: string;
  readonly faults: Faults;
  /** Whether sockets die, apps are killed, sessions end, the service restarts. */
  readonly rough: boolean;
}

export type Create = typeof createClient;

/** One run without its checks. */
export class World {
  readonly story: string[] = [];
  protected readonly time = new VirtualTime();
  protected readonly chance: Chance;
  protected readonly server: FakeServer;
  private readonly disk = new Disk();
  protected readonly sent: Sent[] = [];
  protected readonly opened = new Set<ConversationKey>();
  /** Groups that one has left for a while. */
  protected readonly wasLeft = new Set<ConversationKey>();
  /** What is used more than the others, so that some conversations are long. */
  private readonly favourite: ConversationKey;
  protected watched: readonly UserId[] = [];
  protected app!: App;
  protected client!: ImClient;
  protected page!: Page;
  private session: Session;
  private count = 0;
  /** The faults have ended. */
  private calm = false;

  constructor(
    private readonly create: typeof createClient,
    seed: number,
    protected readonly weather: Weather,
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

  protected note(what: string): void {
    this.story.push(`${this.time.now() % 1e8} ${what} [${this.client.connection.phase}]`);
  }

  protected step(): void {
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
        this.restart(chance.is(0.6));
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
        if (chance.is(0.5)) this.comeBack();
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

  /** The app is killed and comes back, with the pages that it showed or without. */
  private restart(withPages: boolean): void {
    this.note('app killed');
    this.app.kill();
    const pages = withPages ? [...this.opened] : [];
    this.launch();
    for (const key of pages) this.open(key);
  }

  /** A busy conversation is opened some time after a start, and the app killed again, maybe before all is loaded. */
  private comeBack(): void {
    const { chance, favourite } = this;
    this.restart(false);
    for (let many = 12; many > 0; many -= 1) this.peerWrites(favourite);
    this.later(chance.below(25_000), () => {
      this.open(favourite);
      this.peerWrites(favourite);
      this.later(chance.below(8000), () => {
        this.restart(true);
      });
    });
  }

  /** Something that happens unless the faults have ended by then. */
  private later(ms: number, run: () => void): void {
    this.time.after(ms, () => {
      if (!this.calm) run();
    });
  }

  private open(key: ConversationKey): void {
    if (this.opened.has(key)) return;
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

  protected conversationOf(key: ConversationKey) {
    return typeof key === 'number' ? this.server.conversation(ME, key) : this.server.byId(Number(key.slice(1)));
  }

  private peerWrites(key = this.chance.is(0.4) ? this.favourite : this.chance.pick([...PEERS.slice(0, 3), ...GROUPS])): void {
    const { chance, server } = this;
    const number = (this.count += 1);
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

  protected isLeft(key: ConversationKey): boolean {
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
      // Nobody tells a user who has left of these recalls.
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
  protected sentBy(key: ConversationKey, item: ChatItem): Sent | undefined {
    const { content, file } = item;
    return this.sent.find((one) => one.key === key && one.content === (file ?? content) && !one.discarded);
  }

  /** Ends the faults, and lets time pass. */
  protected async calmDown(): Promise<void> {
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
    // These lines are told live, and nothing is loaded after them.
    for (const key of GROUPS) server.rename(this.conversationOf(key)!, 'the end');
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
}
