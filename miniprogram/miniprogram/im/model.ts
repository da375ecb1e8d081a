// What is known of one account: conversations, chats, what is to be sent, who is there.

import { createChatLog, type ChatLog } from './chatlog';
import { createConversations } from './conversations';
import { MOST_CLOSED, MOST_SAVED_CHATS, TYPING_MS } from './limits';
import { createOutbox } from './outbox';
import type { ChatId, Clock, Presence, Session, UserId } from './types';
import type { Vault } from './vault';
import type { Chat } from './wire';

/** What has changed since pages were last told. */
const clean = () => ({
  connection: false,
  list: false,
  /** Oneself, or the session. */
  me: false,
  chats: new Set<UserId>(),
  typing: new Set<UserId>(),
  presence: new Set<UserId>(),
});

export type Model = ReturnType<typeof createModel>;

export const createModel = (
  session: Session,
  vault: Vault,
  clock: Clock,
  /** Something is dirty. */
  touched: () => void,
) => {
  const me = session.user.id;
  const list = createConversations(me, vault.read('list'));
  const outbox = createOutbox(vault.read('outbox') ?? [], (entries) => vault.write('outbox', entries));
  const presences = new Map<UserId, Presence>();
  const logs = new Map<UserId, ChatLog>();
  /** The peers of open conversations, once for each time that one was opened. */
  const opened: UserId[] = [];
  /** Who types, and what cancels that this is forgotten. */
  const typists = new Map<UserId, () => void>();
  let dirty = clean();
  const cursor = vault.read('cursor');
  const state = {
    /** Its user is oneself, as far as is known. */
    session,
    /** The place in the timeline that is applied here; null before the first connection. */
    cursor,
    /** Nothing is missing before the cursor, so that it may be written down. */
    complete: !!cursor,
  };

  const touch = (what: 'connection' | 'list' | 'me'): void => {
    dirty[what] = true;
    touched();
  };

  /** A conversation's list, chats, or what is unsent for it changed. */
  const touchPeer = (peerId: UserId): void => {
    dirty.chats.add(peerId);
    touch('list');
  };

  const peerOf = ({ userId, targetUserId }: Chat): UserId => (userId === me ? targetUserId : userId);

  const settle = ({ userId, targetUserId, clientMsgId, content }: Chat): void => {
    if (userId === me) outbox.settle(clientMsgId, targetUserId, content);
  };

  const typing = (userId: UserId, is: boolean): void => {
    const forget = typists.get(userId);
    if (!is && !forget) return;
    forget?.();
    typists.delete(userId);
    if (is) typists.set(userId, clock.after(TYPING_MS, () => typing(userId, false)));
    dirty.typing.add(userId);
    touched();
  };

  /** Writes down what may be: the cursor last, so that it never is ahead of what it stands for. */
  const save = (): void => {
    if (!state.complete || !state.cursor) return;
    for (const [peerId, log] of logs) {
      // What is in doubt stays as it was written down: with the cursor of then.
      const saved = log.take(state.cursor.seq);
      if (saved) vault.saveLog(peerId, saved);
    }
    vault.write('list', list.save());
    vault.write('cursor', state.cursor);
    // Last of all: what is settled twice is settled once.
    vault.write('outbox', outbox.all());
  };

  return {
    me,
    state,
    list,
    outbox,
    presences,
    touch,
    touchPeer,
    typing,
    save,
    isTyping: (userId: UserId) => typists.has(userId),

    /** What has changed since the last call. */
    takeDirty: () => {
      const taken = dirty;
      dirty = clean();
      return taken;
    },

    open: (peerId: UserId): void => {
      const saved = vault.read(`log.${peerId}`);
      const log = logs.get(peerId) ?? createChatLog(saved, state.complete && saved?.seq === state.cursor?.seq);
      // The last one is the most recently used.
      logs.delete(peerId);
      logs.set(peerId, log);
      opened.push(peerId);
      touchPeer(peerId);
    },

    /** False if it is still open elsewhere. */
    close: (peerId: UserId): boolean => {
      const at = opened.indexOf(peerId);
      if (at >= 0) opened.splice(at, 1);
      if (opened.includes(peerId)) return false;
      logs.get(peerId)?.close(MOST_SAVED_CHATS);
      save();
      const closed = [...logs.keys()].filter((id) => !opened.includes(id));
      for (const id of closed.slice(0, -MOST_CLOSED)) logs.delete(id);
      return true;
    },

    opened,

    /** The chats of an open conversation. */
    log: (peerId: UserId): ChatLog | undefined => (opened.includes(peerId) ? logs.get(peerId) : undefined),

    /** The next chat of the timeline. Returns its peer if more has to be asked about them. */
    add: (chat: Chat): UserId | null => {
      const peerId = peerOf(chat);
      settle(chat);
      logs.get(peerId)?.add(chat);
      if (chat.userId === peerId) typing(peerId, false);
      touchPeer(peerId);
      return list.add(chat);
    },

    /**
     * One's own chat that the service has had before: the answer to a repeated send. It is not shown for
     * that: the timeline has brought it, or a page does, without a hole before it.
     */
    had: (chat: Chat): void => {
      settle(chat);
      touchPeer(peerOf(chat));
    },

    /** The page before `before`, or the newest. */
    addPage: (peerId: UserId, chats: readonly Chat[], hasMore: boolean, before?: ChatId): void => {
      chats.forEach(settle);
      logs.get(peerId)?.addPage(chats, hasMore, before);
      touchPeer(peerId);
    },

    setPresence: (userId: UserId, { online, lastSeenAt }: Presence): void => {
      const known = presences.get(userId);
      if (known?.online === online && known.lastSeenAt === lastSeenAt) return;
      presences.set(userId, { online, lastSeenAt });
      dirty.presence.add(userId);
      touch('list');
    },

    /** A `reset` of the same history: what came last may be missing. */
    unsure: (): void => {
      state.complete = false;
      list.unsure();
      logs.forEach((log) => log.unsure());
    },

    /** Another history: only what is unsent is still true. */
    clear: (): void => {
      state.complete = false;
      list.clear();
      for (const peerId of logs.keys()) {
        logs.set(peerId, createChatLog(null, true));
        touchPeer(peerId);
      }
      vault.forgetCaches();
    },
  };
};
