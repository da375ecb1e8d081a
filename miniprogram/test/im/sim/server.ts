// A service in memory that implements docs/protocol.md: what a client may rely on, and nothing more.

import type { Chance } from './chance';
import type { VirtualTime } from './time';

export interface StoredChat {
  readonly id: number;
  readonly conversationId: number;
  readonly userId: number;
  /** Absent in a group. */
  readonly targetUserId?: number;
  readonly kind: string;
  content: string;
  body?: object | undefined;
  replyTo?: number | undefined;
  mentions?: unknown;
  readonly createTime: string;
  readonly clientMsgId: string;
  version: number;
  state?: 'recalled';
  /** The conversation's version when it came or changed last. */
  changedAt: number;
}

interface Member {
  role: string | null;
  /** What the member may read: chats after the first number, up to the second one. */
  readonly stretches: [number, number][];
  readonly deleted: Set<number>;
  readUpTo: number;
  own: Own;
}

/** What a member keeps of a conversation. */
interface Own {
  pinned: boolean;
  muted: boolean;
  markedUnread: boolean;
  draft: string | null;
  hiddenUpTo: number;
  clearedUpTo: number;
}

const OWN: Own = { pinned: false, muted: false, markedUnread: false, draft: null, hiddenUpTo: 0, clearedUpTo: 0 };

interface Stored {
  readonly id: number;
  /** Null in a direct conversation. */
  title: string | null;
  readonly people: Map<number, Member>;
  readonly chats: StoredChat[];
  version: number;
  membersVersion: number;
}

/** A held chat. */
interface Held {
  readonly userId: number;
  readonly frame: Frame;
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
  readonly targetUserId?: number;
  readonly content?: string;
  readonly kind?: string;
  readonly body?: object;
  readonly replyTo?: number;
  readonly mentions?: unknown;
  readonly conversationId?: number;
  readonly upTo: number;
  readonly userIds: readonly number[];
  readonly background?: boolean;
}

/** An event: a chat, or what is sent as it is. */
type Event = { readonly chat: StoredChat } | { readonly event: string };

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

export interface Answer {
  readonly status: number;
  readonly json?: unknown;
  readonly retryAfter?: number;
}

/** Content that the service refuses for good, that it holds back, and that it refuses later. */
export const REFUSED = 'refused';
export const HELD = 'held';
export const BAD = 'held, bad';

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
  /** Users who have blocked everybody. */
  readonly blockedBy = new Set<number>();
  readonly conversations: Stored[] = [];
  private readonly connections = new Map<Wire, Connection>();
  private readonly timelines = new Map<number, Event[]>();
  private readonly keys = new Map<string, StoredChat>();
  private readonly held = new Map<string, Held>();
  private readonly rejected = new Set<string>();
  private readonly groupKeys = new Map<string, Stored>();
  /** What was committed, in this order: the words at that time, or the media. */
  readonly said: { readonly conversationId: number; readonly userId: number; readonly content: string }[] = [];
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

  /** Stores a text, and returns it; or what was stored before under this key. */
  store(userId: number, targetUserId: number, content: string, clientMsgId: string): StoredChat {
    return this.commit(userId, { ...NO_FRAME, targetUserId, content, clientMsgId });
  }

  /** Stores a chat in a conversation of that id. */
  say(userId: number, conversationId: number, content: string, clientMsgId: string, more: Partial<Frame> = {}): StoredChat {
    return this.commit(userId, { ...NO_FRAME, conversationId, content, clientMsgId, ...more });
  }

  private commit(userId: number, { targetUserId, conversationId, content = '', clientMsgId, kind = 'text', body, replyTo, mentions }: Frame): StoredChat {
    const key = `${userId}|${clientMsgId}`;
    const known = this.keys.get(key);
    if (known) return known;
    const conversation = targetUserId ? this.conversation(userId, targetUserId, true)! : this.byId(conversationId!);
    const chat: StoredChat = {
      id: (this.chatId += 1 + this.chance.below(2)),
      conversationId: conversation.id,
      userId,
      ...(conversation.title === null && { targetUserId: peerOf(conversation, userId) }),
      kind,
      content: WORDS[kind] ?? content,
      body,
      replyTo,
      mentions,
      createTime: new Date(this.time.now()).toISOString(),
      clientMsgId,
      version: 1,
      changedAt: (conversation.version += 1),
    };
    this.keys.set(key, chat);
    conversation.chats.push(chat);
    this.said.push({ conversationId: chat.conversationId, userId, content: body && 'mediaId' in body ? String(body.mediaId) : content });
    for (const [id, { stretches }] of conversation.people) if (isIn(stretches)) this.happened(id, { chat });
    return chat;
  }

  byId(id: number): Stored {
    return this.conversations.find((one) => one.id === id)!;
  }

  recall(chat: StoredChat): void {
    if (chat.state) return;
    const conversation = this.byId(chat.conversationId);
    chat.state = 'recalled';
    chat.content = '';
    chat.body = chat.replyTo = chat.mentions = undefined;
    chat.version += 1;
    chat.changedAt = conversation.version += 1;
    for (const id of conversation.people.keys()) {
      const quoted = conversation.chats.some((one) => one.replyTo === chat.id && this.reads(id, one));
      if (isIn(conversation.people.get(id)!.stretches) && (this.reads(id, chat) || quoted)) this.happened(id, { event: 'changed', chat });
    }
  }

  /** Deletes a chat for one user. */
  remove(userId: number, { id, conversationId }: StoredChat): void {
    const { deleted } = this.byId(conversationId).people.get(userId)!;
    if (deleted.has(id)) return;
    deleted.add(id);
    this.happened(userId, { event: 'changed', gone: { id, conversationId, state: 'deleted' } });
  }

  group(userId: number, title: string, userIds: readonly number[], key = `group-${this.chance.below(1e9)}`): Stored {
    const known = this.groupKeys.get(key);
    if (known) return known;
    const made: Stored = { id: this.conversations.length + 1, title, people: new Map(), chats: [], version: 0, membersVersion: 0 };
    this.conversations.push(made);
    this.groupKeys.set(key, made);
    this.join(made, [...new Set([userId, ...userIds])], userId);
    return made;
  }

  /** Adds people to a group. */
  join(group: Stored, userIds: readonly number[], owner = 0): void {
    for (const id of userIds) {
      const known = group.people.get(id);
      if (known && isIn(known.stretches)) continue;
      const stretches = known ? known.stretches : [];
      stretches.push([this.chatId, Infinity]);
      const own = known ? { ...known.own, hiddenUpTo: 0 } : OWN;
      const role = id === owner ? 'owner' : 'member';
      group.people.set(id, { role, stretches, deleted: known?.deleted ?? new Set(), readUpTo: known?.readUpTo ?? 0, own });
    }
    this.changed(group);
    this.line(group, 'members_added');
  }

  leave(group: Stored, userId: number): void {
    const { stretches } = group.people.get(userId)!;
    const last = stretches[stretches.length - 1]!;
    if (!isIn(stretches)) return;
    last[1] = group.chats[group.chats.length - 1]?.id ?? 0;
    this.happened(userId, { event: 'conversation', conversation: { id: group.id, kind: 'group', left: true } });
    this.changed(group);
    this.line(group, 'member_left');
  }

  rename(group: Stored, title: string): void {
    group.title = title;
    this.changed(group);
    this.line(group, 'renamed');
  }

  /** Changes what a member keeps of a conversation. */
  keep(userId: number, conversation: Stored, own: Partial<Own>): void {
    const member = conversation.people.get(userId)!;
    if (Object.entries(own).every(([key, value]) => member.own[key as keyof Own] === value)) return;
    member.own = { ...member.own, ...own };
    const face = conversation.title === null ? { kind: 'direct' } : this.face(conversation, userId);
    this.happened(userId, { event: 'conversation', conversation: { id: conversation.id, ...face, ...member.own } });
  }

  /** Tells the members what a group looks like now. */
  private changed(group: Stored): void {
    group.membersVersion += 1;
    for (const [id, member] of group.people) {
      if (!isIn(member.stretches)) continue;
      this.happened(id, { event: 'conversation', conversation: { id: group.id, ...this.face(group, id), ...member.own } });
    }
  }

  private face({ title, people, membersVersion, version }: Stored, userId: number) {
    const memberCount = [...people.values()].filter(({ stretches }) => isIn(stretches)).length;
    const { role } = people.get(userId)!;
    return { kind: 'group', title, avatarUrl: null, memberCount, membersVersion, version, role };
  }

  private line(group: Stored, event: string): void {
    const [actor] = group.people.keys();
    this.say(actor!, group.id, `system ${event}`, `line-${this.chatId}`, { kind: 'system', body: { event } });
  }

  /** Whether the user may read this chat. */
  reads(userId: number, { id, conversationId }: StoredChat): boolean {
    const member = this.byId(conversationId).people.get(userId);
    if (!member || id <= member.own.clearedUpTo || member.deleted.has(id)) return false;
    return member.stretches.some(([from, to]) => id > from && id <= to);
  }

  /** The chats of a conversation that the user may read. */
  visible(userId: number, conversation: Stored | undefined): StoredChat[] {
    return conversation ? conversation.chats.filter((chat) => this.reads(userId, chat)) : [];
  }

  /** Decides about all held chats: those that begin with `BAD` are refused. */
  decide(): void {
    for (const [key, { userId, frame }] of [...this.held]) {
      this.held.delete(key);
      const { clientMsgId, conversationId, content } = frame;
      const refuse = (code: string, detail: string) => {
        this.happened(userId, { event: 'refused', clientMsgId, code, detail });
      };
      if (content?.startsWith(BAD)) {
        this.rejected.add(key);
        refuse('content_rejected', 'not this');
      } else if (conversationId && !isIn(this.byId(conversationId).people.get(userId)!.stretches)) refuse('conversation_not_found', '');
      else this.commit(userId, frame);
    }
  }

  /** A frame without a number, to all sockets of a user. */
  notify(userId: number, frame: object): void {
    for (const { wire, seq } of this.connections.values()) if (seq >= 0 && wire.userId === userId) this.put(wire, frame);
  }

  /** Adds an event of an unknown kind. */
  strange(userId: number): void {
    this.happened(userId, { event: 'weather', rain: true });
  }

  read(userId: number, conversationId: number, upTo: number): void {
    const conversation = this.conversations.find(({ id }) => id === conversationId);
    const member = conversation?.people.get(userId);
    if (!conversation || !member || !isIn(member.stretches)) return;
    const last = conversation.chats[conversation.chats.length - 1]?.id ?? 0;
    const mark = Math.max(member.readUpTo, Math.min(upTo, last));
    if (mark > member.readUpTo) {
      member.readUpTo = mark;
      for (const { wire, seq } of this.connections.values()) {
        const told = conversation.title === null ? conversation.people.has(wire.userId) : wire.userId === userId;
        if (seq >= 0 && told) this.put(wire, { type: 'read', conversationId, userId, upTo: mark });
      }
    }
    this.keep(userId, conversation, { markedUnread: false });
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

  private isShown(a: number, b: number): boolean {
    const chats = this.conversation(a, b)?.chats;
    const wrote = (id: number) => chats?.some(({ userId }) => userId === id) === true;
    return this.bothWrote ? wrote(a) && wrote(b) : chats !== undefined;
  }

  conversation(a: number, b: number, make = false): Stored | undefined {
    const isTheirs = ({ title, people }: Stored) =>
      title === null && people.has(a) && people.has(b) && people.size === (a === b ? 1 : 2);
    const found = this.conversations.find(isTheirs);
    if (found || !make) return found;
    const people = new Map([a, b].map((id): [number, Member] => [id, { role: null, stretches: [[0, Infinity]], deleted: new Set(), readUpTo: 0, own: OWN }]));
    const made: Stored = { id: this.conversations.length + 1, title: null, people, chats: [], version: 0, membersVersion: 0 };
    this.conversations.push(made);
    return made;
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

  // ---- HTTP

  answer(method: string, path: string, token: string, body = ''): Answer {
    const userId = this.tokens.get(token);
    if (userId === undefined) return { status: 401, json: { code: 'unauthorized' } };
    const url = new URL(path, 'http://server');
    const given = (body ? JSON.parse(body) : {}) as Partial<Own> & { title?: string; userIds?: number[]; key?: string };
    const number = (name: string) => Number(url.searchParams.get(name) ?? 0);
    if (url.pathname === '/v1/me') return { status: 200, json: this.user(userId) };
    if (url.pathname === '/v1/conversations') {
      if (method === 'GET') return { status: 200, json: this.list(userId, number('before'), number('peerId')) };
      return { status: 201, json: this.row(userId, this.group(userId, given.title ?? '', given.userIds ?? [], given.key)) };
    }
    const [, what, id = '', below = ''] = /^\/v1\/(conversations|chats)\/(\d+)\/?(.*)$/.exec(url.pathname) ?? [];
    if (what === 'chats') return this.act(userId, Number(id), method);
    const conversation = this.conversations.find((one) => one.id === Number(id) && one.people.has(userId));
    const member = conversation?.people.get(userId);
    if (!conversation || !member) return NOT_FOUND;
    if (method === 'GET' && below === '') return { status: 200, json: this.row(userId, conversation) };
    const all = this.visible(userId, conversation);
    if (method === 'GET' && url.searchParams.has('changedSince')) {
      const since = number('changedSince');
      const changed = all.filter(({ changedAt }) => changedAt > since).sort((a, b) => a.changedAt - b.changedAt);
      const page = changed.slice(0, PAGE);
      const hasMore = page.length < changed.length;
      const version = hasMore ? page[page.length - 1]!.changedAt : conversation.version;
      return { status: 200, json: { chats: page.map((chat) => this.shown(chat)), version, hasMore } };
    }
    if (method === 'GET') {
      const before = number('before') || Infinity;
      const older = all.filter((chat) => chat.id < before);
      const page = older.slice(-PAGE);
      return { status: 200, json: { chats: page.map((chat) => this.shown(chat)), hasMore: page.length < older.length } };
    }
    if (!isIn(member.stretches)) return NOT_FOUND;
    const last = conversation.chats[conversation.chats.length - 1]?.id ?? 0;
    if (below === 'settings') this.keep(userId, conversation, given);
    if (below === 'hide') this.keep(userId, conversation, { hiddenUpTo: last });
    if (below === 'clear') this.keep(userId, conversation, { clearedUpTo: last });
    if (below === `members/${userId}` && method === 'DELETE') this.leave(conversation, userId);
    return below === 'settings' ? { status: 200, json: this.row(userId, conversation) } : { status: 204 };
  }

  /** Recalls or deletes a chat. */
  private act(userId: number, id: number, method: string): Answer {
    const chat = this.conversations.flatMap(({ chats }) => chats).find((one) => one.id === id);
    if (!chat || !this.reads(userId, chat)) return { status: 404, json: { code: 'chat_not_found' } };
    if (method === 'DELETE') this.remove(userId, chat);
    else if (chat.userId !== userId || chat.kind === 'system') return { status: 403, json: { code: 'forbidden' } };
    else this.recall(chat);
    return method === 'DELETE' ? { status: 204 } : { status: 200, json: { chat: this.shown(chat) } };
  }

  /** Takes a file: a name that begins with `REFUSED` is none that is taken. */
  upload(token: string, file: string): Answer {
    if (!this.tokens.has(token)) return { status: 401, json: { code: 'unauthorized' } };
    if (file.startsWith(REFUSED)) return { status: 415, json: { code: 'unsupported_media' } };
    return { status: 201, json: { mediaId: file, kind: 'image' } };
  }

  /** The row of a conversation. */
  row(userId: number, conversation: Stored) {
    const { id, people, version, title } = conversation;
    const { readUpTo, own, stretches } = people.get(userId)!;
    const { pinned, muted, markedUnread, draft } = own;
    const chats = this.visible(userId, conversation);
    const unread = chats.filter((chat) => chat.userId !== userId && chat.id > readUpTo && !chat.state && chat.kind !== 'system');
    const peerId = peerOf(conversation, userId);
    const last = chats[chats.length - 1];
    const calls = ({ mentions }: StoredChat) => mentions === 'all' || (Array.isArray(mentions) && mentions.includes(userId));
    const left = !isIn(stretches);
    return {
      id,
      position: conversation.chats[conversation.chats.length - 1]?.id ?? 0,
      version,
      ...{ pinned, muted, markedUnread, draft },
      ...(title === null
        ? {
            kind: 'direct',
            peer: { ...this.user(peerId), online: true, lastSeenAt: null },
            peerReadUpTo: people.get(peerId)!.readUpTo,
          }
        : { ...this.face(conversation, userId), ...(left && { left }) }),
      lastChat: last ? this.shown(last) : null,
      unread: Math.min(unread.length, 100),
      mentioned: unread.some(calls),
      readUpTo,
    };
  }

  /** Who is in the list: rows in their order, pinned ones first. */
  listed(userId: number) {
    return this.conversations
      .filter(({ people, chats }) => {
        const member = people.get(userId);
        const last = chats[chats.length - 1]?.id ?? 0;
        return member && isIn(member.stretches) && last > member.own.hiddenUpTo;
      })
      .map((conversation) => this.row(userId, conversation))
      .sort((a, b) => Number(b.pinned) - Number(a.pinned) || b.position - a.position);
  }

  private list(userId: number, before: number, peerId: number) {
    const listed = this.listed(userId);
    const unreadTotal = Math.min(100, listed.reduce((sum, { muted, unread }) => sum + (muted ? 0 : unread), 0));
    const found = peerId ? this.conversation(userId, peerId) : undefined;
    if (peerId) return { conversations: found?.chats.length ? [this.row(userId, found)] : [], hasMore: false, unreadTotal };
    const all = listed.filter(({ pinned, position }) => !pinned && (before === 0 || position < before));
    const pinned = before === 0 ? { pinned: listed.filter((row) => row.pinned) } : {};
    return { conversations: all.slice(0, PAGE), hasMore: all.length > PAGE, unreadTotal, ...pinned };
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

  private happened(userId: number, event: Event | { readonly event: string; readonly [key: string]: unknown }): void {
    this.timeline(userId).push(event);
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

  private isGone(userId: number, { id, conversationId }: StoredChat): boolean {
    const { own, deleted } = this.byId(conversationId).people.get(userId)!;
    return id <= own.clearedUpTo || deleted.has(id);
  }

  private timeline(userId: number) {
    const found = this.timelines.get(userId) ?? [];
    this.timelines.set(userId, found);
    return found;
  }

  /** A chat as it is now. */
  shown(chat: StoredChat) {
    const { replyTo, targetUserId } = chat;
    const quoted = replyTo ? this.byId(chat.conversationId).chats.find(({ id }) => id === replyTo) : undefined;
    return {
      ...chat,
      changedAt: undefined,
      replyTo: undefined,
      userName: this.user(chat.userId).name,
      ...(targetUserId && { targetUserId, targetUserName: this.user(targetUserId).name }),
      ...(quoted && { replyTo: this.quote(quoted) }),
    };
  }

  private quote({ id, userId, kind, content, state }: StoredChat) {
    return { id, userId, userName: this.user(userId).name, kind, content, ...(state && { state }) };
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

const NOT_FOUND: Answer = { status: 404, json: { code: 'conversation_not_found' } };

/** What chats of other kinds say. */
const WORDS: Readonly<Record<string, string>> = { image: '[图片]', voice: '[语音]' };

const NO_FRAME: Frame = { type: 'send', clientMsgId: '', upTo: 0, userIds: [] };

/** Whether somebody with these stretches is a member. */
function isIn(stretches: readonly [number, number][]): boolean {
  return stretches[stretches.length - 1]?.[1] === Infinity;
}

/** The other side of a direct conversation. */
function peerOf({ people }: Stored, userId: number): number {
  return [...people.keys()].find((id) => id !== userId) ?? userId;
}
