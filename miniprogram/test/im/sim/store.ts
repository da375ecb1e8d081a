// What the service keeps, and what people do there: conversations, chats, timelines.

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

export interface Member {
  role: string | null;
  /** What the member may read: chats after the first number, up to the second one. */
  readonly stretches: [number, number][];
  readonly deleted: Set<number>;
  readUpTo: number;
  own: Own;
}

/** What a member keeps of a conversation. */
export interface Own {
  pinned: boolean;
  muted: boolean;
  markedUnread: boolean;
  draft: string | null;
  hiddenUpTo: number;
  clearedUpTo: number;
}

export const OWN: Own = { pinned: false, muted: false, markedUnread: false, draft: null, hiddenUpTo: 0, clearedUpTo: 0 };

export interface Stored {
  readonly id: number;
  /** Null in a direct conversation. */
  title: string | null;
  readonly people: Map<number, Member>;
  readonly chats: StoredChat[];
  version: number;
  membersVersion: number;
}

/** A held chat. */
export interface Held {
  readonly userId: number;
  readonly frame: Frame;
}

/** The keys of all frames. A frame has those of its type. */
export interface Frame {
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
export type Event = { readonly chat: StoredChat } | { readonly event: string };

/** Content that the service refuses for good, that it holds back, and that it refuses later. */
export const REFUSED = 'refused';
export const HELD = 'held';
export const BAD = 'held, bad';

export abstract class Store {
  /** Whether presence is shown only once both have written. */
  bothWrote = false;
  readonly conversations: Stored[] = [];
  /** What was committed, in this order: the words at that time, or the media. */
  readonly said: { readonly conversationId: number; readonly userId: number; readonly content: string }[] = [];
  protected readonly keys = new Map<string, StoredChat>();
  protected readonly held = new Map<string, Held>();
  protected readonly rejected = new Set<string>();
  private readonly timelines = new Map<number, Event[]>();
  private readonly groupKeys = new Map<string, Stored>();
  private chatId = 0;

  constructor(
    protected readonly time: VirtualTime,
    protected readonly chance: Chance,
  ) {}

  /** A user's timeline has grown. */
  protected abstract appended(userId: number): void;

  /** A frame without a number, to all sockets of a user. */
  abstract notify(userId: number, frame: object): void;

  /** Stores a text, and returns it; or what was stored before under this key. */
  store(userId: number, targetUserId: number, content: string, clientMsgId: string): StoredChat {
    return this.commit(userId, { ...NO_FRAME, targetUserId, content, clientMsgId });
  }

  /** Stores a chat in a conversation of that id. */
  say(userId: number, conversationId: number, content: string, clientMsgId: string, more: Partial<Frame> = {}): StoredChat {
    return this.commit(userId, { ...NO_FRAME, conversationId, content, clientMsgId, ...more });
  }

  protected commit(userId: number, { targetUserId, conversationId, content = '', clientMsgId, kind = 'text', body, replyTo, mentions }: Frame): StoredChat {
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
      for (const told of conversation.title === null ? conversation.people.keys() : [userId]) {
        this.notify(told, { type: 'read', conversationId, userId, upTo: mark });
      }
    }
    this.keep(userId, conversation, { markedUnread: false });
  }

  protected isShown(a: number, b: number): boolean {
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

  private happened(userId: number, event: Event | { readonly event: string; readonly [key: string]: unknown }): void {
    this.timeline(userId).push(event);
    this.appended(userId);
  }

  protected isGone(userId: number, { id, conversationId }: StoredChat): boolean {
    const { own, deleted } = this.byId(conversationId).people.get(userId)!;
    return id <= own.clearedUpTo || deleted.has(id);
  }

  protected timeline(userId: number) {
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

  user(id: number) {
    return { id, name: `user ${id}`, avatarUrl: null };
  }
}

/** What chats of other kinds say. */
const WORDS: Readonly<Record<string, string>> = { image: '[图片]', voice: '[语音]' };

const NO_FRAME: Frame = { type: 'send', clientMsgId: '', upTo: 0, userIds: [] };

/** Whether somebody with these stretches is a member. */
export function isIn(stretches: readonly [number, number][]): boolean {
  return stretches[stretches.length - 1]?.[1] === Infinity;
}

/** The other side of a direct conversation. */
function peerOf({ people }: Stored, userId: number): number {
  return [...people.keys()].find((id) => id !== userId) ?? userId;
}
