// A service in memory that implements docs/protocol.md: what a client may rely on, and nothing more.

import type { Chance } from './chance';
import type { VirtualTime } from './time';

export interface StoredChat {
  readonly id: number;
  readonly conversationId: number;
  readonly userId: number;
  readonly targetUserId: number;
  readonly content: string;
  readonly createTime: string;
  readonly clientMsgId: string;
}

interface Stored {
  readonly id: number;
  readonly users: readonly [number, number];
  readonly chats: StoredChat[];
  readonly readUpTo: Map<number, number>;
}

/** The service's end of a socket. */
export interface Wire {
  readonly userId: number;
  toClient(text: string): void;
  closeClient(code: number, reason: string): void;
}

/** The keys of all frames. A frame has those of its type. */
interface Frame {
  readonly type: string;
  readonly since?: number;
  readonly epoch?: string;
  readonly deviceId?: string;
  readonly clientMsgId: string;
  readonly targetUserId: number;
  readonly content: string;
  readonly conversationId: number;
  readonly upTo: number;
  readonly userIds: readonly number[];
}

interface Connection {
  readonly wire: Wire;
  deviceId: string;
  /** The last number sent; -1 before `hello`. */
  seq: number;
  watched: readonly number[];
  /** Sends of this socket: their events are shown here as `sent`. */
  readonly sends: Set<string>;
}

export interface Answer {
  readonly status: number;
  readonly json?: unknown;
  readonly retryAfter?: number;
}

/** Content that the service refuses for good. */
export const REFUSED = 'refused';

export class FakeServer {
  up = true;
  epoch = 'epoch-1';
  replayLimit = 40;
  /** The probability that a send is refused for now. */
  busy = 0;
  /** Whether presence is shown only once both have written. */
  bothWrote = false;
  /** Users with whom no new conversation is allowed today. */
  readonly closedTo = new Set<number>();
  readonly conversations: Stored[] = [];
  private readonly connections = new Map<Wire, Connection>();
  private readonly timelines = new Map<number, { readonly chat: StoredChat | null }[]>();
  private readonly keys = new Map<string, StoredChat>();
  private readonly tokens = new Map<string, number>();
  private chatId = 0;
  private tokenCount = 0;

  constructor(
    private readonly time: VirtualTime,
    private readonly chance: Chance,
  ) {}

  // ---- Sessions

  login(userId: number): string {
    const token = `token-${(this.tokenCount += 1)}`;
    this.tokens.set(token, userId);
    return token;
  }

  /** All sessions end; sockets are closed. */
  expire(userId: number): void {
    for (const [token, id] of this.tokens) if (id === userId) this.tokens.delete(token);
    this.closeAll(4401, 'session ended', userId);
  }

  userOf(token: string): number | undefined {
    return this.tokens.get(token);
  }

  // ---- Life of the process

  /** Closes all sockets without a frame. */
  crash(): void {
    this.up = false;
    this.closeAll(1006, '');
  }

  drain(): void {
    for (const { wire } of this.connections.values()) this.put(wire, { type: 'reconnect', afterMs: 500 + this.chance.below(3000) });
    this.up = false;
    this.closeAll(1012, 'restart');
  }

  closeAll(code: number, reason: string, userId?: number): void {
    for (const [wire] of this.connections) {
      if (userId !== undefined && wire.userId !== userId) continue;
      this.connections.delete(wire);
      wire.closeClient(code, reason);
    }
  }

  /** Begins a new epoch, as after a restore, and tells all sockets. */
  rotateEpoch(): void {
    this.epoch = `epoch-${this.chance.below(1e9)}`;
    for (const connection of this.connections.values()) if (connection.seq >= 0) this.reset(connection);
  }

  // ---- What users do

  /** Stores a chat, and returns it; or the one that was stored before under this key. */
  store(userId: number, targetUserId: number, content: string, clientMsgId: string): StoredChat {
    const key = `${userId}|${clientMsgId}`;
    const known = this.keys.get(key);
    if (known) return known;
    const conversation = this.conversation(userId, targetUserId, true)!;
    const chat: StoredChat = {
      id: (this.chatId += 1 + this.chance.below(2)),
      conversationId: conversation.id,
      userId,
      targetUserId,
      content,
      createTime: new Date(this.time.now()).toISOString(),
      clientMsgId,
    };
    this.keys.set(key, chat);
    conversation.chats.push(chat);
    for (const id of new Set([userId, targetUserId])) this.happened(id, chat);
    return chat;
  }

  /** A frame without a number, to all sockets of a user. */
  notify(userId: number, frame: object): void {
    for (const { wire, seq } of this.connections.values()) if (seq >= 0 && wire.userId === userId) this.put(wire, frame);
  }

  /** Adds an event of an unknown kind. */
  strange(userId: number): void {
    this.happened(userId, null);
  }

  read(userId: number, conversationId: number, upTo: number): void {
    const conversation = this.conversations.find(({ id }) => id === conversationId);
    const last = conversation?.chats[conversation.chats.length - 1]?.id ?? 0;
    if (!conversation) return;
    const mark = Math.max(conversation.readUpTo.get(userId) ?? 0, Math.min(upTo, last));
    if (mark === (conversation.readUpTo.get(userId) ?? 0)) return;
    conversation.readUpTo.set(userId, mark);
    for (const { wire, seq } of this.connections.values()) {
      if (seq >= 0 && conversation.users.includes(wire.userId)) {
        this.put(wire, { type: 'read', conversationId, userId, upTo: mark });
      }
    }
  }

  /** Users whose presence the newest socket of this user is shown. */
  watchedBy(userId: number): readonly number[] {
    const connections = [...this.connections.values()].filter(({ wire }) => wire.userId === userId);
    return connections[connections.length - 1]?.watched ?? [];
  }

  private isShown(a: number, b: number): boolean {
    const chats = this.conversation(a, b)?.chats;
    const wrote = (id: number) => chats?.some(({ userId }) => userId === id) === true;
    return this.bothWrote ? wrote(a) && wrote(b) : chats !== undefined;
  }

  conversation(a: number, b: number, make = false): Stored | undefined {
    const found = this.conversations.find(({ users }) => users.includes(a) && users.includes(b) && (a !== b || users[0] === users[1]));
    if (found || !make) return found;
    const made: Stored = { id: this.conversations.length + 1, users: [a, b], chats: [], readUpTo: new Map() };
    this.conversations.push(made);
    return made;
  }

  // ---- Sockets

  /** False: the handshake fails. */
  accept(wire: Wire, token: string): boolean {
    if (!this.up || this.tokens.get(token) !== wire.userId) return false;
    this.connections.set(wire, { wire, deviceId: '', seq: -1, watched: [], sends: new Set() });
    return true;
  }

  gone(wire: Wire): void {
    this.connections.delete(wire);
  }

  receive(wire: Wire, text: string): void {
    const connection = this.connections.get(wire);
    if (!connection) return;
    const frame = JSON.parse(text) as Frame;
    if (connection.seq < 0) {
      if (frame.type === 'hello') this.hello(connection, frame);
      else this.refuseSocket(connection);
      return;
    }
    switch (frame.type) {
      case 'send':
        this.send(connection, frame);
        break;
      case 'read':
        this.read(wire.userId, frame.conversationId, frame.upTo);
        break;
      case 'watch':
        // Strangers are left out.
        connection.watched = frame.userIds.filter((id) => this.isShown(wire.userId, id));
        for (const userId of connection.watched) {
          this.put(wire, { type: 'presence', userId, online: true, lastSeenAt: null });
        }
        break;
      case 'ping':
        this.put(wire, { type: 'pong' });
        break;
      case 'typing':
        break;
      default:
        this.put(wire, { type: 'error', code: 'unknown_type', detail: '' });
    }
  }

  // ---- HTTP

  answer(path: string, token: string): Answer {
    const userId = this.tokens.get(token);
    if (userId === undefined) return { status: 401, json: { code: 'unauthorized' } };
    const url = new URL(path, 'http://server');
    const number = (name: string) => Number(url.searchParams.get(name) ?? 0);
    if (url.pathname === '/v1/me') return { status: 200, json: this.user(userId) };
    if (url.pathname === '/v1/conversations') return { status: 200, json: this.list(userId, number('before'), number('peerId')) };
    const chats = /^\/v1\/conversations\/(\d+)\/chats$/.exec(url.pathname);
    const conversation = this.conversations.find(({ id, users }) => id === Number(chats?.[1]) && users.includes(userId));
    if (!conversation) return { status: 404, json: { code: 'conversation_not_found' } };
    const before = number('before') || Infinity;
    const older = conversation.chats.filter(({ id }) => id < before);
    const page = older.slice(-PAGE);
    return { status: 200, json: { chats: page.map((chat) => this.shown(chat)), hasMore: page.length < older.length } };
  }

  /** The row of a conversation. */
  row(userId: number, { id, users, chats, readUpTo }: Stored) {
    const peerId = users[0] === userId ? users[1] : users[0];
    const mark = readUpTo.get(userId) ?? 0;
    const unread = chats.filter((chat) => chat.userId !== userId && chat.id > mark).length;
    return {
      id,
      kind: 'direct',
      peer: { ...this.user(peerId), online: true, lastSeenAt: null },
      lastChat: this.shown(chats[chats.length - 1]!),
      unread: Math.min(unread, 100),
      readUpTo: mark,
      peerReadUpTo: peerId === userId ? mark : (readUpTo.get(peerId) ?? 0),
    };
  }

  private list(userId: number, before: number, peerId: number) {
    const all = this.conversations
      .filter(({ users, chats }) => users.includes(userId) && chats.length > 0)
      .map((conversation) => this.row(userId, conversation))
      .filter(({ lastChat, peer }) => (before === 0 || lastChat.id < before) && (peerId === 0 || peer.id === peerId))
      .sort((a, b) => b.lastChat.id - a.lastChat.id);
    return { conversations: all.slice(0, PAGE), hasMore: all.length > PAGE };
  }

  private hello(connection: Connection, { since, epoch, deviceId }: Frame): void {
    const { wire } = connection;
    const end = this.timeline(wire.userId).length;
    connection.deviceId = deviceId ?? '';
    // In the order of opening, which a late hello does not change: the newest socket stays.
    const ofDevice = [...this.connections.values()].filter(
      (one) => one.wire.userId === wire.userId && one.deviceId === connection.deviceId && (one === connection || one.seq >= 0),
    );
    for (const { wire: older } of ofDevice.slice(0, -1)) {
      this.connections.delete(older);
      older.closeClient(4409, 'replaced');
    }
    if (!this.connections.has(wire)) return;
    this.put(wire, { type: 'ready', userId: wire.userId, connectionId: 1, epoch: this.epoch, lastSeq: end, heartbeatMs: 25_000 });
    const lost = since !== undefined && (since > end || end - since > this.replayLimit || (epoch !== undefined && epoch !== this.epoch));
    if (lost) {
      this.reset(connection);
      return;
    }
    connection.seq = since ?? end;
    this.flush(connection);
  }

  private reset(connection: Connection): void {
    connection.seq = this.timeline(connection.wire.userId).length;
    this.put(connection.wire, { type: 'reset', epoch: this.epoch, lastSeq: connection.seq });
  }

  private refuseSocket({ wire }: Connection): void {
    this.connections.delete(wire);
    wire.closeClient(4400, 'hello first');
  }

  private send(connection: Connection, frame: Frame): void {
    const { wire } = connection;
    const { clientMsgId, targetUserId, content } = frame;
    const no = (code: string, more: object = {}) => {
      this.put(wire, { type: 'error', code, detail: '', clientMsgId, ...more });
    };
    if (this.chance.is(this.busy)) {
      no(this.chance.pick(['rate_limited', 'unavailable']), { retryAfterMs: 100 + this.chance.below(3000) });
      return;
    }
    if (content.startsWith(REFUSED)) {
      no('invalid_content');
      return;
    }
    if (this.closedTo.has(targetUserId) && !this.conversation(wire.userId, targetUserId)) {
      no('rate_limited', { retryAfterMs: 432_000 });
      return;
    }
    const known = this.keys.get(`${wire.userId}|${clientMsgId}`);
    if (!known) connection.sends.add(clientMsgId);
    const chat = this.store(wire.userId, targetUserId, content, clientMsgId);
    if (!known) return;
    if (known.content !== content || known.targetUserId !== targetUserId) {
      no('client_msg_id_reused');
      return;
    }
    const seq = this.timeline(wire.userId).findIndex((event) => event.chat === chat) + 1;
    this.put(wire, { type: 'sent', clientMsgId, seq, chat: this.shown(chat) });
  }

  private happened(userId: number, chat: StoredChat | null): void {
    this.timeline(userId).push({ chat });
    for (const connection of this.connections.values()) {
      if (connection.wire.userId === userId && connection.seq >= 0) this.flush(connection);
    }
  }

  private flush(connection: Connection): void {
    const { wire, sends } = connection;
    for (const { chat } of this.timeline(wire.userId).slice(connection.seq)) {
      const seq = (connection.seq += 1);
      if (!chat) this.put(wire, { type: 'event', seq, event: 'recall', what: {} });
      else if (chat.userId === wire.userId && sends.has(chat.clientMsgId)) {
        this.put(wire, { type: 'sent', clientMsgId: chat.clientMsgId, seq, chat: this.shown(chat) });
      } else this.put(wire, { type: 'event', seq, event: 'chat', chat: this.shown(chat) });
    }
  }

  private timeline(userId: number) {
    const found = this.timelines.get(userId) ?? [];
    this.timelines.set(userId, found);
    return found;
  }

  private shown(chat: StoredChat) {
    return { ...chat, userName: this.user(chat.userId).name, targetUserName: this.user(chat.targetUserId).name, kind: 'text' };
  }

  private user(id: number) {
    return { id, name: `user ${id}`, avatarUrl: null };
  }

  private put(wire: Wire, frame: object): void {
    wire.toClient(JSON.stringify(frame));
  }
}

/** Small, so that runs have several pages, and gaps between them. */
const PAGE = 8;
