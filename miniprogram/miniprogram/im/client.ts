// The client: what pages call, over the model and what keeps it in step.

import { readable, request } from './http';
import { Model } from './model';
import { itemKey } from './outbox';
import { Sync } from './sync';
import type {
  ChatList,
  Changes,
  ClientOptions,
  Connection,
  Conversation,
  ImClient,
  Presence,
  Report,
  SendResult,
  User,
  UserId,
} from './types';
import { Vault } from './vault';
import { View } from './view';
import { toPage, toUser } from './wire';

/** Pages are told at once, then at most so often. */
const TELL_EVERY_MS = 50;
/** What is applied is written down so often. */
const SAVE_EVERY_MS = 1000;
/** The service's limit for a frame is 64 KiB; some of it is not content. */
const MOST_BYTES = 65_000;
/** The most people that can be watched at once. */
const MOST_WATCHED = 100;

/** A client at rest: `start` connects it. It shows at once what storage has. */
export function createClient(options: ClientOptions): ImClient {
  return new Client(options);
}

class Client implements ImClient {
  private readonly vault: Vault;
  private readonly model: Model;
  private readonly sync: Sync;
  private readonly view: View;
  private readonly listeners = new Set<(changes: Changes) => void>();
  private readonly reporters = new Set<(report: Report) => void>();
  private readonly older = new Set<UserId>();
  private telling = false;
  private toldAt = -Infinity;
  private cancelSave: (() => void) | null = null;
  private ended = false;

  constructor(private readonly options: ClientOptions) {
    const { platform, server, session, deviceId } = options;
    const report = (code: Report['code'], detail: string) => {
      for (const listener of [...this.reporters]) listener({ code, detail });
    };
    this.vault = new Vault(platform.storage, server, session.user.id, (written) => {
      report(written ? 'storage_evicted' : 'storage_full', 'no room');
    });
    this.model = new Model(session.user, this.vault, platform.clock, () => {
      this.tellSoon();
    });
    this.view = new View(this.model);
    const device = deviceId ?? platform.storage.get(DEVICE) ?? this.newId();
    if (deviceId === undefined) this.keep(DEVICE, device);
    this.sync = new Sync(options, this.model, session, device, report, () => {
      this.saveSoon();
    });
  }

  get me(): User {
    return this.model.me;
  }

  get connection(): Connection {
    return this.sync.link.connection;
  }

  get hasMoreConversations(): boolean {
    return this.model.conversations.hasMore;
  }

  get conversationsLoaded(): boolean {
    return this.model.conversations.loaded;
  }

  start(): void {
    if (!this.ended) this.sync.link.start();
  }

  stop(): void {
    this.sync.link.stop();
    this.save();
  }

  show(): void {
    this.sync.link.show();
  }

  hide(): void {
    this.sync.link.hide();
    this.save();
  }

  network(connected: boolean): void {
    this.sync.link.network(connected);
  }

  async signOut(unsent: 'keep' | 'discard'): Promise<void> {
    this.ended = true;
    this.sync.link.stop();
    this.cancelSave?.();
    this.model.complete = false;
    this.vault.forgetCaches();
    if (unsent === 'discard') this.vault.forgetOutbox();
    const { platform, server } = this.options;
    // Without an answer the session ends by itself, when it has not been used for a while.
    await request(platform, server, { method: 'POST', path: '/v1/logout', token: this.sync.session.token }).catch(
      () => undefined,
    );
  }

  subscribe(listener: (changes: Changes) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  onReport(listener: (report: Report) => void): () => void {
    this.reporters.add(listener);
    return () => this.reporters.delete(listener);
  }

  conversations(): readonly Conversation[] {
    return this.view.list;
  }

  conversation(peerId: UserId): Conversation | null {
    return this.view.conversation(peerId);
  }

  refreshConversations(): Promise<void> {
    return this.sync.loadList();
  }

  async loadMoreConversations(): Promise<void> {
    if (this.hasMoreConversations) await this.sync.loadNextList();
  }

  open(peerId: UserId): void {
    this.model.open(peerId);
    this.view.open(peerId);
    this.sync.want(`chats:${peerId}`);
  }

  close(peerId: UserId): void {
    this.model.close(peerId);
    if (!this.model.log(peerId)) this.view.close(peerId);
  }

  chats(peerId: UserId): ChatList {
    return this.view.chats(peerId);
  }

  async loadOlder(peerId: UserId): Promise<void> {
    if (this.older.has(peerId) || !this.model.log(peerId)?.hasMore) return;
    this.older.add(peerId);
    await this.sync.loadOlder(peerId).finally(() => this.older.delete(peerId));
  }

  send(peerId: UserId, content: string): SendResult {
    if (content.trim() === '') return { ok: false, code: 'blank' };
    if (bytes(JSON.stringify(content)) > MOST_BYTES) return { ok: false, code: 'too_long' };
    const id = this.newId();
    const time = this.options.platform.clock.now();
    const code = this.model.outbox.add({ id, peerId, content, time, failure: null });
    if (code !== 'ok') return { ok: false, code };
    this.wrote(peerId);
    return { ok: true, key: itemKey(true, id) };
  }

  resend(peerId: UserId, key: string): boolean {
    const { outbox } = this.model;
    const entry = outbox.find(peerId, key);
    if (!entry) return false;
    outbox.resend(entry, () => this.newId(), this.options.platform.clock.now());
    this.wrote(peerId);
    return true;
  }

  discard(peerId: UserId, key: string): boolean {
    const entry = this.model.outbox.find(peerId, key);
    if (!entry) return false;
    this.model.outbox.remove(entry);
    this.model.touchPeer(peerId);
    return true;
  }

  markRead(peerId: UserId): void {
    const sent = this.chats(peerId).items.filter(({ id }) => id !== null);
    const last = sent[sent.length - 1]?.id ?? null;
    const readUpTo = this.conversation(peerId)?.readUpTo ?? 0;
    // One's own last chat is a good mark, but no reason for one.
    if (last !== null && sent.some(({ id, mine }) => !mine && (id ?? 0) > readUpTo)) this.sync.readUpTo(peerId, last);
  }

  typing(peerId: UserId): void {
    this.sync.typing(peerId);
  }

  isTyping(peerId: UserId): boolean {
    return this.model.isTyping(peerId);
  }

  watch(userIds: readonly UserId[]): void {
    this.sync.watch([...new Set(userIds)].slice(0, MOST_WATCHED));
  }

  presence(userId: UserId): Presence | null {
    return this.model.presences.get(userId) ?? null;
  }

  async findUsers(prefix: string): Promise<readonly User[]> {
    const path = `/v1/users?limit=50&query=${encodeURIComponent(prefix)}`;
    return readable(toPage(await this.sync.calls.request({ method: 'GET', path }), 'users', toUser)).entries;
  }

  async user(userId: UserId): Promise<User> {
    return readable(toUser(await this.sync.calls.request({ method: 'GET', path: `/v1/users/${userId}` })));
  }

  async rename(name: string): Promise<User> {
    return this.changed(await this.sync.calls.request({ method: 'PATCH', path: '/v1/me', json: { name } }));
  }

  async setAvatar(body: ArrayBuffer, contentType: string): Promise<User> {
    const bytes = { body, contentType };
    return this.changed(await this.sync.calls.request({ method: 'PUT', path: '/v1/me/avatar', bytes }));
  }

  private changed(answer: unknown): User {
    const user = readable(toUser(answer));
    this.model.me = user;
    this.sync.session = { ...this.sync.session, user };
    this.model.touch((dirty) => (dirty.me = dirty.session = true));
    return user;
  }

  private wrote(peerId: UserId): void {
    this.model.touchPeer(peerId);
    this.sync.calls.pump();
  }

  /** 128 random bits. */
  private newId(): string {
    const part = () => Math.floor(this.options.platform.random() * 2 ** 32).toString(16).padStart(8, '0');
    return part() + part() + part() + part();
  }

  private tellSoon(): void {
    if (this.telling) return;
    this.telling = true;
    const { clock } = this.options.platform;
    const wait = Math.min(Math.max(0, this.toldAt + TELL_EVERY_MS - clock.now()), TELL_EVERY_MS);
    clock.after(wait, () => {
      this.telling = false;
      this.toldAt = clock.now();
      const changes = this.view.take(this.sync.session);
      if (changes) for (const listener of [...this.listeners]) listener(changes);
    });
  }

  private saveSoon(): void {
    this.cancelSave ??= this.options.platform.clock.after(SAVE_EVERY_MS, () => {
      this.save();
    });
  }

  private save(): void {
    this.cancelSave?.();
    this.cancelSave = null;
    this.model.save();
  }

  private keep(key: string, value: string): void {
    try {
      this.options.platform.storage.set(key, value);
    } catch {
      // Without room the device has another name next time, which closes one of its sockets later.
    }
  }
}

const DEVICE = 'im1|device';

/** Of its UTF-8. */
function bytes(text: string): number {
  let count = 0;
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0;
    count += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  }
  return count;
}
