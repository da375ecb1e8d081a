// What is known of one account: conversations, chats, what is to be sent, who is there.

import { ChatLog } from './chatlog';
import { Conversations } from './conversations';
import { Outbox } from './outbox';
import type { ChatId, Clock, Presence, User, UserId } from './types';
import { MOST_SAVED_CHATS, type Cursor, type Vault } from './vault';
import type { Chat, ConversationRow, Page } from './wire';

/** How long somebody is shown as typing. */
const TYPING_MS = 5000;
/** Conversations that are not open and yet kept up to date, so that they open at once. */
const MOST_CLOSED = 20;

/** What has changed since pages were last told. */
export interface Dirty {
  connection: boolean;
  list: boolean;
  me: boolean;
  session: boolean;
  readonly chats: Set<UserId>;
  readonly typing: Set<UserId>;
  readonly presence: Set<UserId>;
}

export class Model {
  readonly conversations: Conversations;
  readonly outbox: Outbox;
  readonly presences = new Map<UserId, Presence>();
  readonly dirty: Dirty = clean();
  /** The place in the timeline that is applied here; null before the first connection. */
  cursor: Cursor | null;
  /** Nothing is missing before the cursor, so that it may be written down. */
  complete: boolean;
  private readonly logs = new Map<UserId, ChatLog>();
  /** How often each conversation is open. */
  private readonly opened = new Map<UserId, number>();
  private readonly typists = new Map<UserId, () => void>();
  private unsavedOutbox = false;

  constructor(
    public me: User,
    private readonly vault: Vault,
    private readonly clock: Clock,
    /** Something is dirty. */
    private readonly touched: () => void,
  ) {
    this.conversations = new Conversations(me.id);
    this.outbox = new Outbox(vault.outbox(), (entries) => vault.saveOutbox(entries));
    this.cursor = vault.cursor();
    this.complete = this.cursor !== null;
    const list = vault.list();
    if (list) this.conversations.restore(list);
  }

  /** Marks as changed; pages are told soon. */
  touch(what: (dirty: Dirty) => void): void {
    what(this.dirty);
    this.touched();
  }

  /** A conversation's list, chats, or what is unsent for it changed. */
  touchPeer(peerId: UserId): void {
    this.touch((dirty) => {
      dirty.list = true;
      dirty.chats.add(peerId);
    });
  }

  open(peerId: UserId): void {
    const log = this.logs.get(peerId) ?? this.restored(peerId);
    // The last one is the most recently used.
    this.logs.delete(peerId);
    this.logs.set(peerId, log);
    this.opened.set(peerId, (this.opened.get(peerId) ?? 0) + 1);
    this.touchPeer(peerId);
  }

  close(peerId: UserId): void {
    const count = (this.opened.get(peerId) ?? 0) - 1;
    if (count > 0) {
      this.opened.set(peerId, count);
      return;
    }
    this.opened.delete(peerId);
    const log = this.logs.get(peerId);
    if (!log) return;
    log.keep(MOST_SAVED_CHATS);
    log.loaded = false;
    this.save();
    const closed = [...this.logs.keys()].filter((id) => !this.opened.has(id));
    for (const id of closed.slice(0, -MOST_CLOSED)) this.logs.delete(id);
  }

  /** The peers of open conversations. */
  get openPeers(): readonly UserId[] {
    return [...this.opened.keys()];
  }

  /** The chats of an open conversation. */
  log(peerId: UserId): ChatLog | undefined {
    return this.opened.has(peerId) ? this.logs.get(peerId) : undefined;
  }

  /** The next chat of the timeline. Returns false if more has to be asked about its peer. */
  add(chat: Chat): boolean {
    const peerId = this.peerOf(chat);
    this.settle(chat);
    this.logs.get(peerId)?.add(chat);
    if (chat.userId === peerId) this.typing(peerId, false);
    const known = this.conversations.add(chat);
    this.touchPeer(peerId);
    return known;
  }

  /**
   * One's own chat that the service has had before: the answer to a repeated send. It is not shown for
   * that: the timeline has brought it, or a page does, without a hole before it.
   */
  had(chat: Chat): void {
    this.settle(chat);
    this.touchPeer(this.peerOf(chat));
  }

  addNewest(peerId: UserId, page: Page<Chat>): void {
    page.entries.forEach((chat) => {
      this.settle(chat);
    });
    this.logs.get(peerId)?.addNewest(page);
    this.touchPeer(peerId);
  }

  addOlder(peerId: UserId, before: ChatId, page: Page<Chat>): void {
    this.logs.get(peerId)?.addOlder(before, page);
    this.touchPeer(peerId);
  }

  /** A conversation of the service's answer came with the peer's presence. */
  met({ peer, presence }: ConversationRow): void {
    this.setPresence(peer.id, presence);
    this.touchPeer(peer.id);
  }

  setPresence(userId: UserId, presence: Presence): void {
    this.presences.set(userId, presence);
    this.touch((dirty) => {
      dirty.list = true;
      dirty.presence.add(userId);
    });
  }

  isTyping(userId: UserId): boolean {
    return this.typists.has(userId);
  }

  typing(userId: UserId, is: boolean): void {
    const was = this.typists.get(userId);
    if (!is && !was) return;
    was?.();
    this.typists.delete(userId);
    if (is) {
      this.typists.set(
        userId,
        this.clock.after(TYPING_MS, () => {
          this.typing(userId, false);
        }),
      );
    }
    this.touch((dirty) => dirty.typing.add(userId));
  }

  /** A `reset` of the same history: what came last may be missing. */
  unsure(): void {
    this.complete = false;
    this.conversations.unsure();
    for (const log of this.logs.values()) log.unsure();
  }

  /** Another history: only what is unsent is still true. */
  clear(): void {
    this.complete = false;
    this.conversations.clear();
    for (const [peerId, log] of this.logs) {
      log.clear();
      this.touchPeer(peerId);
    }
    this.vault.forgetCaches();
  }

  /** Writes down what may be: the cursor last, so that it never is ahead of what it stands for. */
  save(): void {
    if (!this.complete || !this.cursor) return;
    const { seq } = this.cursor;
    for (const [peerId, log] of this.logs) {
      // What is in doubt stays as it was written down: with the cursor of then.
      const saved = log.unsaved ? log.saved(seq) : null;
      if (!saved) continue;
      log.unsaved = false;
      this.vault.saveLog(peerId, saved);
    }
    this.vault.saveList(this.conversations.saved());
    this.vault.saveCursor(this.cursor);
    if (this.unsavedOutbox) this.vault.saveOutbox(this.outbox.entries);
    this.unsavedOutbox = false;
  }

  private restored(peerId: UserId): ChatLog {
    const log = new ChatLog();
    const saved = this.vault.log(peerId);
    if (saved) log.restore(saved, this.complete && saved.seq === this.cursor?.seq);
    return log;
  }

  private settle({ userId, targetUserId, clientMsgId, content }: Chat): void {
    if (userId === this.me.id && this.outbox.settle(clientMsgId, targetUserId, content)) this.unsavedOutbox = true;
  }

  private peerOf({ userId, targetUserId }: Chat): UserId {
    return userId === this.me.id ? targetUserId : userId;
  }
}

export function clean(): Dirty {
  return {
    connection: false,
    list: false,
    me: false,
    session: false,
    chats: new Set(),
    typing: new Set(),
    presence: new Set(),
  };
}
