// Keeps the model in step with the service: the socket's frames, what is loaded, what is to be sent.

import { Calls, type Due } from './calls';
import { readable, type Call } from './http';
import { Link, type LinkOwner } from './link';
import { Loads, type Load } from './loads';
import type { Model } from './model';
import type { Outgoing } from './outbox';
import type { ChatId, ClientOptions, ConversationId, Report, Session, UserId } from './types';
import { toChat, toConversation, toPage, type ConversationRow, type Page, type ServerFrame } from './wire';

/** A send that is not answered, or a replay that does not go on, for so long: the socket is dead. */
const ANSWER_MS = 20_000;
/** From one read mark to the next: they come in bursts, and the last one says it all. */
const READ_EVERY_MS = 500;
/** The service forwards at most one in 2 s. */
const TYPING_EVERY_MS = 2500;

type FrameOf<T extends ServerFrame['type']> = Extract<ServerFrame, { type: T }>;

export class Sync implements LinkOwner {
  readonly link: Link;
  readonly calls: Calls;
  private readonly loads: Loads;
  /** What `ready` said is the end of the timeline: up to there events are being made up for. */
  private caughtUpAt = Infinity;
  private cancelCatchUp: () => void = () => undefined;
  /** Another one once answers to what was asked before mean nothing: a `reset` came. */
  private era = {};
  private helloDue = false;
  private pingDue = false;
  private watchDue = false;
  private watched: readonly UserId[] = [];
  /** How many of them had a conversation when the service was told: it leaves the others out. */
  private watchedRows = 0;
  private readonly reads = new Map<ConversationId, ChatId>();
  private readAt = -Infinity;
  private readonly typedAt = new Map<UserId, number>();
  private cancelAnswer: () => void = () => undefined;

  constructor(
    private readonly options: ClientOptions,
    private readonly model: Model,
    public session: Session,
    private readonly deviceId: string,
    private readonly report: (code: Report['code'], detail: string) => void,
    /** The cursor or what it stands for has moved. */
    private readonly applied: () => void,
  ) {
    const { platform, server } = options;
    this.link = new Link(platform, this, () => ({
      url: `${server.replace(/^http/, 'ws')}/imserver/${this.session.user.id}`,
      protocols: ['imserver.v1', `bearer.${this.session.token}`],
    }));
    this.calls = new Calls(
      platform,
      server,
      () => this.session.token,
      (token) => {
        if (token === this.session.token) this.link.unauthorized();
      },
      { first: () => this.control(), last: () => this.frameDue() },
    );
    this.loads = new Loads(
      platform.clock,
      () => platform.random(),
      (what) => this.load(what),
      () => {
        this.loaded();
      },
      ({ code }) => {
        if (code === 'unreadable_answer' || code === 'too_many_calls') this.report(code, 'while loading');
        else if (code !== 'network') this.report('service_error', code);
      },
    );
  }

  // ---- What pages ask for

  /** Loads as soon as there is a socket. */
  want(...loads: readonly Load[]): void {
    this.loads.want(...loads);
    if (this.link.ready) this.loads.run();
  }

  /** Asks over HTTP and applies the answer, unless a `reset` has made it meaningless. Rejects with `ImError`. */
  async ask<T>(call: Call, read: (json: unknown) => T | null, apply: (answer: T) => void): Promise<void> {
    const { era } = this;
    const answer = readable(read(await this.calls.request(call)));
    if (era !== this.era) return;
    apply(answer);
    // It may have told what the service is to be told.
    this.calls.pump();
  }

  watch(userIds: readonly UserId[]): void {
    this.watched = userIds;
    this.watchDue = true;
    this.calls.pump();
  }

  readUpTo(peerId: UserId, upTo: ChatId): void {
    const row = this.model.conversations.rows.get(peerId);
    if (!row || upTo <= row.readUpTo) return;
    this.reads.set(row.id, upTo);
    this.readByMe(row.id, upTo);
    this.calls.pump();
  }

  typing(peerId: UserId): void {
    const now = this.options.platform.clock.now();
    if (!this.link.ready || Math.abs(now - (this.typedAt.get(peerId) ?? -Infinity)) < TYPING_EVERY_MS) return;
    const sent = this.calls.tryNow(() => {
      this.send({ type: 'typing', targetUserId: peerId });
    });
    if (sent) this.typedAt.set(peerId, now);
  }

  // ---- What the link tells

  opened(): void {
    this.helloDue = true;
    this.calls.pump();
  }

  ping(): void {
    this.pingDue = true;
    this.calls.pump();
  }

  lost(): void {
    this.helloDue = this.pingDue = false;
    this.caughtUpAt = Infinity;
    this.cancelAnswer();
    this.cancelCatchUp();
    this.loads.stop();
    const { sending } = this.model.outbox;
    this.model.outbox.lost();
    if (sending) this.model.touchPeer(sending.peerId);
  }

  moved(): void {
    this.model.touch((dirty) => (dirty.connection = true));
  }

  unreadable(): void {
    this.report('unreadable_frame', 'no frame');
  }

  misunderstood(code: number): void {
    this.report('protocol_close', `closed with ${code}`);
  }

  probe(): void {
    // Whatever the answer is, what it says of the session has been heard by then.
    this.calls.request({ method: 'GET', path: '/v1/me' }).catch(() => undefined);
  }

  login(): Promise<Session | null> {
    return this.options.login();
  }

  signedIn(session: Session): boolean {
    if (session.user.id !== this.model.me.id) return false;
    this.session = session;
    this.model.me = session.user;
    this.model.touch((dirty) => (dirty.me = dirty.session = true));
    return true;
  }

  frame(frame: ServerFrame): void {
    switch (frame.type) {
      case 'ready':
        this.ready(frame);
        break;
      case 'reset':
        this.reset(frame);
        break;
      case 'event':
        this.event(frame);
        break;
      case 'sent':
        this.sent(frame);
        break;
      case 'error':
        this.refused(frame);
        break;
      case 'read':
        this.read(frame);
        break;
      case 'typing':
        this.model.typing(frame.userId, true);
        break;
      case 'presence':
        this.model.setPresence(frame.userId, frame.presence);
        break;
      default:
    }
    this.calls.pump();
  }

  // ---- The timeline

  private ready({ epoch, lastSeq }: FrameOf<'ready'>): void {
    const cursor = (this.model.cursor ??= { seq: lastSeq, epoch });
    // The numbers of another history mean nothing here: a `reset` follows, and no event before it.
    this.caughtUpAt = cursor.epoch === epoch && cursor.seq <= lastSeq ? lastSeq : Infinity;
    this.catchUp();
    this.watchDue = this.watched.length > 0;
    this.reload();
  }

  private reset({ epoch, lastSeq }: FrameOf<'reset'>): void {
    const { model } = this;
    this.era = {};
    // Numbers that went back are another history too, whatever its name.
    const same = model.cursor?.epoch === epoch && model.cursor.seq <= lastSeq;
    if (same) {
      model.unsure();
    } else {
      model.clear();
      this.reads.clear();
    }
    model.cursor = { seq: lastSeq, epoch };
    this.caughtUpAt = lastSeq;
    this.catchUp();
    this.loads.stop();
    this.reload();
  }

  /** Waits for the events up to the end of the replay, or for the next of them. */
  private catchUp(): void {
    this.cancelCatchUp();
    if ((this.model.cursor?.seq ?? 0) >= this.caughtUpAt) return;
    this.cancelCatchUp = this.options.platform.clock.after(ANSWER_MS, () => {
      this.link.reconnect();
    });
  }

  /** Loads what may have been missed: what has no number, and all after a `reset`. */
  private reload(): void {
    this.loads.want('list', ...this.model.openPeers.map((id): Load => `chats:${id}`));
    this.loads.run();
  }

  private loaded(): void {
    if (!this.link.ready) return;
    this.model.complete = true;
    this.applied();
    this.settleLink();
  }

  /** Takes the next number; false if it is not the next one. */
  private step(seq: number): boolean {
    const { cursor } = this.model;
    if (!cursor || seq <= cursor.seq) return false;
    if (seq > cursor.seq + 1 || this.caughtUpAt === Infinity) {
      this.link.reconnect();
      return false;
    }
    this.model.cursor = { seq, epoch: cursor.epoch };
    this.catchUp();
    return true;
  }

  private event({ seq, chat }: FrameOf<'event'>): void {
    if (!this.step(seq)) return;
    if (chat) this.add(chat);
    this.applied();
    this.settleLink();
  }

  private sent({ seq, clientMsgId, chat }: FrameOf<'sent'>): void {
    const { outbox } = this.model;
    if (this.step(seq)) {
      if (chat) this.add(chat);
    } else if (!this.link.ready) {
      return;
    } else if (chat) {
      this.model.had(chat);
    }
    if (outbox.sending?.id === clientMsgId) {
      // The service has it, though its chat cannot be read, or is not what was written here.
      this.model.touchPeer(outbox.sending.peerId);
      outbox.remove(outbox.sending);
      outbox.lost();
    }
    if (!outbox.sending) this.cancelAnswer();
    this.applied();
    this.settleLink();
  }

  private add(chat: Parameters<Model['add']>[0]): void {
    if (!this.model.add(chat)) {
      const { userId, targetUserId } = chat;
      this.want(`row:${userId === this.model.me.id ? targetUserId : userId}`);
    }
  }

  private settleLink(): void {
    const { cursor, complete } = this.model;
    const caughtUp = cursor !== null && cursor.seq >= this.caughtUpAt;
    if (this.link.ready && caughtUp && complete && this.loads.idle && this.link.connection.phase === 'syncing') {
      this.link.settle();
    }
  }

  private refused({ code, clientMsgId, retryAfterMs }: FrameOf<'error'>): void {
    const { outbox } = this.model;
    const retryAt = retryAfterMs === null ? null : this.options.platform.clock.now() + retryAfterMs;
    if (clientMsgId !== null) {
      const entry = outbox.refuse(clientMsgId, code, retryAt);
      if (!outbox.sending) this.cancelAnswer();
      if (entry) this.model.touchPeer(entry.peerId);
      return;
    }
    if (retryAt !== null) outbox.hold(retryAt);
    this.report('service_error', code);
  }

  private read({ conversationId, userId, upTo }: FrameOf<'read'>): void {
    const { model } = this;
    const row = model.conversations.byId(conversationId);
    if (!row) return;
    if (userId === model.me.id) {
      this.readByMe(conversationId, upTo);
      // Another device has read up to somewhere in the middle: only the service can count the rest.
      if ((model.conversations.byId(conversationId)?.counted ?? 0) > 0) this.want(`row:${row.peer.id}`);
    } else {
      model.conversations.readByPeer(row, upTo);
      model.touchPeer(row.peer.id);
    }
  }

  private readByMe(id: ConversationId, upTo: ChatId): void {
    const { conversations } = this.model;
    const row = conversations.byId(id);
    if (!row) return;
    conversations.readByMe(row, upTo);
    this.model.touchPeer(row.peer.id);
    this.applied();
  }

  // ---- Loading

  private async load(what: Load): Promise<void> {
    if (what === 'list') {
      await this.loadList();
      return;
    }
    const peerId = Number(what.slice(what.indexOf(':') + 1)) as UserId;
    await (what.startsWith('row') ? this.loadRow(peerId) : this.loadChats(peerId));
  }

  loadList(): Promise<void> {
    return this.ask({ method: 'GET', path: '/v1/conversations?limit=50' }, toConversations, (page) => {
      this.met(page);
      this.model.conversations.addFirst(page);
      this.model.touch((dirty) => (dirty.list = true));
      // Old rows of open conversations were not in the page, and may have been read meanwhile.
      const listed = new Set(page.entries.map(({ peer }) => peer.id));
      for (const id of this.model.openPeers) {
        if (!listed.has(id) && this.model.conversations.rows.has(id)) this.loads.want(`row:${id}`);
      }
    });
  }

  loadNextList(): Promise<void> {
    const { pagedTo } = this.model.conversations;
    const path = `/v1/conversations?limit=50&before=${pagedTo}`;
    return this.ask({ method: 'GET', path }, toConversations, (page) => {
      this.met(page);
      this.model.conversations.addNext(pagedTo, page);
      this.model.touch((dirty) => (dirty.list = true));
      this.applied();
    });
  }

  loadOlder(peerId: UserId): Promise<void> {
    const row = this.model.conversations.rows.get(peerId);
    const before = this.model.log(peerId)?.oldest ?? 0;
    if (!row || before === 0) return Promise.resolve();
    const path = `/v1/conversations/${row.id}/chats?limit=50&before=${before}`;
    return this.ask({ method: 'GET', path }, toChats, (page) => {
      this.model.addOlder(peerId, before, page);
      this.applied();
    });
  }

  private loadRow(peerId: UserId): Promise<void> {
    return this.ask({ method: 'GET', path: `/v1/conversations?peerId=${peerId}` }, toConversations, (page) => {
      this.met(page);
      page.entries.forEach((row) => {
        this.model.conversations.merge(row);
      });
    });
  }

  private async loadChats(peerId: UserId): Promise<void> {
    if (!this.model.conversations.rows.has(peerId)) await this.loadRow(peerId);
    const row = this.model.conversations.rows.get(peerId);
    if (!row) {
      // Nobody has written yet.
      this.model.addNewest(peerId, { entries: [], hasMore: false });
      return;
    }
    const path = `/v1/conversations/${row.id}/chats?limit=50`;
    await this.ask({ method: 'GET', path }, toChats, (page) => {
      this.model.addNewest(peerId, page);
    });
  }

  /** What a page of conversations tells beside its rows. */
  private met(page: Page<ConversationRow>): void {
    for (const row of page.entries) {
      this.model.met(row);
      // A read mark has no answer: one that the service does not know was lost.
      const known = this.model.conversations.rows.get(row.peer.id);
      if (known && known.readUpTo > row.readUpTo) this.reads.set(row.id, known.readUpTo as ChatId);
    }
  }

  // ---- Frames

  private control(): Due {
    if (this.helloDue) {
      return () => {
        this.helloDue = false;
        const { cursor } = this.model;
        const since = cursor ? { since: cursor.seq, epoch: cursor.epoch } : {};
        this.send({ type: 'hello', ...since, deviceId: this.deviceId });
      };
    }
    if (!this.pingDue) return null;
    return () => {
      this.pingDue = false;
      this.send({ type: 'ping' });
    };
  }

  private frameDue(): Due {
    const { cursor, outbox } = this.model;
    // Before the end of the replay, what is unsent may yet turn out to be sent.
    if (!this.link.ready || !cursor || cursor.seq < this.caughtUpAt) return null;
    const now = this.options.platform.clock.now();
    const next = outbox.next(now);
    if (next !== null && typeof next !== 'number') {
      return () => {
        this.sendChat(next);
      };
    }
    const rows = this.watched.filter((id) => this.model.conversations.rows.has(id)).length;
    if (this.watchDue || rows > this.watchedRows) {
      return () => {
        this.watchDue = false;
        this.watchedRows = rows;
        this.send({ type: 'watch', userIds: this.watched });
      };
    }
    const read = this.reads.entries().next();
    if (read.done) return next;
    const wait = this.readAt + READ_EVERY_MS;
    if (now < wait && wait - now <= READ_EVERY_MS) return next === null ? wait : Math.min(next, wait);
    const [conversationId, upTo] = read.value;
    return () => {
      this.readAt = now;
      this.reads.delete(conversationId);
      this.send({ type: 'read', conversationId, upTo });
      // What is left unread after a mark in the middle, only the service can count.
      const row = this.model.conversations.byId(conversationId);
      if (row && row.counted > 0) this.want(`row:${row.peer.id}`);
    };
  }

  private sendChat(entry: Outgoing): void {
    const { id, peerId, content } = entry;
    this.model.outbox.sending = entry;
    this.model.touchPeer(peerId);
    this.cancelAnswer = this.options.platform.clock.after(ANSWER_MS, () => {
      this.link.reconnect();
    });
    this.send({ type: 'send', clientMsgId: id, targetUserId: peerId, content });
  }

  private send(frame: object): void {
    this.link.send(JSON.stringify(frame));
  }
}

const toConversations = (json: unknown) => toPage(json, 'conversations', toConversation);
const toChats = (json: unknown) => toPage(json, 'chats', toChat);
