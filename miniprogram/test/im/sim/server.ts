// A service in memory that implements docs/protocol.md: what a client may rely on, and nothing more.

import { answer, type Answer } from './routes';
import { HELD, isIn, REFUSED, Store, type Frame } from './store';

/** The service's end of a socket. */
export interface Wire {
  readonly userId: number;
  toClient(text: string): void;
  closeClient(code: number, reason: string): void;
}

interface Connection {
  readonly wire: Wire;
  deviceId: string;
  /** The last number sent; -1 before `hello`. */
  seq: number;
  watched: readonly number[];
  /** Sends of this socket: their events are shown here as `sent`. */
  readonly sends: Set<string>;
  background: boolean;
}

export class FakeServer extends Store {
  up = true;
  epoch = 'epoch-1';
  replayLimit = 40;
  /** The probability that a send is refused for now. */
  busy = 0;
  /** Users with whom no new conversation is allowed today. */
  readonly closedTo = new Set<number>();
  /** Users who have blocked everybody. */
  readonly blockedBy = new Set<number>();
  private readonly connections = new Map<Wire, Connection>();
  private readonly tokens = new Map<string, number>();
  private tokenCount = 0;

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
    // They were held after the backup.
    this.held.clear();
    for (const connection of this.connections.values()) if (connection.seq >= 0) this.reset(connection);
  }

  // ---- Sockets

  /** False: the handshake fails. */
  accept(wire: Wire, token: string): boolean {
    if (!this.up || this.tokens.get(token) !== wire.userId) return false;
    this.connections.set(wire, { wire, deviceId: '', seq: -1, watched: [], sends: new Set(), background: false });
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
        this.read(wire.userId, frame.conversationId!, frame.upTo);
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
      case 'state':
        connection.background = frame.background === true;
        break;
      default:
        this.put(wire, { type: 'error', code: 'unknown_type', detail: '' });
    }
  }

  /** Whether the newest socket of this user is in the background. */
  isAway(userId: number): boolean | undefined {
    return [...this.connections.values()].filter(({ wire }) => wire.userId === userId).pop()?.background;
  }

  /** Users whose presence the newest socket of this user is shown. */
  watchedBy(userId: number): readonly number[] {
    const connections = [...this.connections.values()].filter(({ wire }) => wire.userId === userId);
    return connections[connections.length - 1]?.watched ?? [];
  }

  /** A frame without a number, to all sockets of a user. */
  override notify(userId: number, frame: object): void {
    for (const { wire, seq } of this.connections.values()) if (seq >= 0 && wire.userId === userId) this.put(wire, frame);
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
    const { clientMsgId, targetUserId, conversationId, content = '', kind = 'text', body } = frame;
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
    const key = `${wire.userId}|${clientMsgId}`;
    const known = this.keys.get(key);
    const group = this.conversations.find(({ id }) => id === conversationId);
    if (!known && conversationId && !isIn(group?.people.get(wire.userId)?.stretches ?? [])) {
      no('conversation_not_found');
      return;
    }
    if (targetUserId && this.closedTo.has(targetUserId) && !this.conversation(wire.userId, targetUserId)) {
      no('rate_limited', { retryAfterMs: 432_000 });
      return;
    }
    if (targetUserId && this.blockedBy.has(targetUserId)) {
      no('not_allowed', { reason: 'blocked' });
      return;
    }
    if (this.rejected.has(key)) {
      no('content_rejected', { detail: 'not this' });
      return;
    }
    if (!known && content.startsWith(HELD)) {
      this.held.set(key, { userId: wire.userId, frame });
      this.put(wire, { type: 'held', clientMsgId });
      return;
    }
    if (!known) connection.sends.add(clientMsgId);
    const chat = this.commit(wire.userId, frame);
    if (!known) return;
    const same = known.kind === kind && known.targetUserId === (targetUserId ?? known.targetUserId);
    if (!same || (!known.state && (kind === 'text' ? known.content !== content : JSON.stringify(known.body) !== JSON.stringify(body)))) {
      no('client_msg_id_reused');
      return;
    }
    const seq = this.timeline(wire.userId).findIndex((event) => 'chat' in event && event.chat === chat) + 1;
    this.put(wire, { type: 'sent', clientMsgId, seq, chat: this.shown(chat) });
  }

  protected override appended(userId: number): void {
    for (const connection of this.connections.values()) {
      if (connection.wire.userId === userId && connection.seq >= 0) this.flush(connection);
    }
  }

  private flush(connection: Connection): void {
    const { wire, sends } = connection;
    for (const event of this.timeline(wire.userId).slice(connection.seq)) {
      const seq = (connection.seq += 1);
      const chat = 'chat' in event ? event.chat : null;
      const isNew = chat && !('event' in event);
      if (isNew && this.reads(wire.userId, chat) && chat.userId === wire.userId && sends.has(chat.clientMsgId)) {
        this.put(wire, { type: 'sent', clientMsgId: chat.clientMsgId, seq, chat: this.shown(chat) });
        continue;
      }
      const { id = 0, conversationId = 0 } = chat ?? {};
      const gone = { id, conversationId, state: 'deleted' };
      if (isNew && this.isGone(wire.userId, chat)) this.put(wire, { type: 'event', seq, event: 'changed', chat: gone });
      else if (isNew) this.put(wire, { type: 'event', seq, event: 'chat', chat: this.shown(chat) });
      else this.put(wire, { type: 'event', seq, ...event, ...(chat && { chat: this.shown(chat) }), ...('gone' in event && { chat: event.gone }) });
    }
  }

  private put(wire: Wire, frame: object): void {
    wire.toClient(JSON.stringify(frame));
  }

  // ---- HTTP

  answer(method: string, path: string, token: string, body = ''): Answer {
    const userId = this.tokens.get(token);
    return userId === undefined ? UNAUTHORIZED : answer(this, userId, method, path, body);
  }

  /** Takes a file: a name that begins with `REFUSED` is none that is taken. */
  upload(token: string, file: string): Answer {
    if (!this.tokens.has(token)) return UNAUTHORIZED;
    if (file.startsWith(REFUSED)) return { status: 415, json: { code: 'unsupported_media' } };
    return { status: 201, json: { mediaId: file, kind: 'image' } };
  }
}

const UNAUTHORIZED: Answer = { status: 401, json: { code: 'unauthorized' } };
