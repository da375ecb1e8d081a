// The state of one account: conversations, chats, unsent chats, presence.

import { createChatLog, type ChatLog } from './chatlog';
import { createConversations, isGone } from './conversations';
import { keyOf, keyOfChat } from './keys';
import { MOST_CLOSED, MOST_SAVED_CHATS, TYPING_MS } from './limits';
import { createOutbox } from './outbox';
import type { Clock } from './platform';
import { TEXT } from './saved';
import type { ConversationKey, Presence, Session, UserId } from './types';
import type { Vault } from './vault';
import { toJson, type Chat, type ConversationPart, type Deleted } from './wire';

/** What has changed since pages were last told. */
const clean = () => ({
  connection: false,
  list: false,
  /** The account's user, or the session. */
  me: false,
  chats: new Set<ConversationKey>(),
  typing: new Set<ConversationKey>(),
  presence: new Set<UserId>(),
});

export type Model = ReturnType<typeof createModel>;

export const createModel = (
  session: Session,
  vault: Vault,
  clock: Clock,
  /** Something has changed. */
  touched: () => void,
) => {
  const me = session.user.id;
  const list = createConversations(me, vault.read('list'));
  const outbox = createOutbox((vault.read('outbox') ?? []).map((entry) => ({ ...TEXT, ...entry })), (entries) => vault.write('outbox', entries));
  const presences = new Map<UserId, Presence>();
  const logs = new Map<ConversationKey, ChatLog>();
  /** Open conversations, once for each time that one was opened. */
  const opened: ConversationKey[] = [];
  /** Conversations in which somebody types, and what cancels their timeout. */
  const typists = new Map<ConversationKey, () => void>();
  let dirty = clean();
  const cursor = vault.read('cursor');
  const state = {
    /** Its user is the account's, as last heard. */
    session,
    /** The last applied place in the timeline; null before the first connection. */
    cursor,
    /** Nothing is missing before the cursor, so that it may be stored. */
    complete: !!cursor,
    /** The unsent chat whose file is being uploaded, and the part of it that is sent. */
    upload: null as { readonly id: string; progress: number } | null,
  };

  const touch = (what: 'connection' | 'list' | 'me'): void => {
    dirty[what] = true;
    touched();
  };

  /** A conversation's row, chats or unsent chats changed. */
  const touchChats = (key: ConversationKey): void => {
    dirty.chats.add(key);
    touch('list');
  };

  const settle = (chat: Chat): void => {
    if (chat.userId === me) outbox.answer(chat.clientMsgId, null);
  };

  const typing = (key: ConversationKey, is: boolean): void => {
    const forget = typists.get(key);
    if (!is && !forget) return;
    forget?.();
    typists.delete(key);
    if (is) typists.set(key, clock.after(TYPING_MS, () => typing(key, false)));
    dirty.typing.add(key);
    touched();
  };

  /** Stores the state: the cursor after the chats and rows, so that it never is ahead of them. */
  const save = (): void => {
    if (!state.complete || !state.cursor) return;
    for (const [key, log] of logs) {
      // A log with a gap stays as it was stored, with the cursor of that time.
      const saved = log.take(state.cursor.seq);
      if (saved) vault.saveLog(key, saved);
    }
    vault.write('list', list.save());
    vault.write('cursor', state.cursor);
    // After the cursor: a chat that is removed from the outbox twice does no harm.
    vault.write('outbox', outbox.all());
  };

  /** The chats are loaded anew. */
  const forget = (key: ConversationKey): void => {
    vault.forgetLog(key);
    if (logs.has(key)) logs.set(key, createChatLog(null, true));
    touchChats(key);
  };

  return {
    me,
    state,
    list,
    outbox,
    presences,
    touch,
    touchChats,
    typing,
    save,
    forget,
    isTyping: (key: ConversationKey) => typists.has(key),

    /** What has changed since the last call. */
    takeDirty: () => {
      const taken = dirty;
      dirty = clean();
      return taken;
    },

    open: (key: ConversationKey): void => {
      // Nobody is told what becomes of chats after leaving.
      if (list.rows.get(key)?.left) forget(key);
      const saved = vault.read(`log.${key}`);
      const log = logs.get(key) ?? createChatLog(saved, state.complete && saved?.seq === state.cursor?.seq);
      // The last one is the most recently used.
      logs.delete(key);
      logs.set(key, log);
      opened.push(key);
      touchChats(key);
    },

    /** False if it is still open elsewhere. */
    close: (key: ConversationKey): boolean => {
      const at = opened.indexOf(key);
      if (at >= 0) opened.splice(at, 1);
      if (opened.includes(key)) return false;
      logs.get(key)?.close(MOST_SAVED_CHATS);
      save();
      const closed = [...logs.keys()].filter((key) => !opened.includes(key));
      for (const key of closed.slice(0, -MOST_CLOSED)) logs.delete(key);
      return true;
    },

    opened,

    /** The chats of an open conversation. */
    log: (key: ConversationKey): ChatLog | undefined => (opened.includes(key) ? logs.get(key) : undefined),

    /** The next chat of the timeline. Returns its conversation's key if the row has to be loaded. */
    add: (chat: Chat): ConversationKey | null => {
      const key = keyOfChat(chat, me);
      settle(chat);
      logs.get(key)?.add(chat);
      if (chat.userId !== me) typing(key, false);
      touchChats(key);
      return list.add(chat);
    },

    /** A chat has changed. Returns its conversation's key if the row has to be loaded. */
    change: (chat: Chat | Deleted): ConversationKey | null => {
      const row = list.byId(chat.conversationId);
      const key = 'kind' in chat ? keyOfChat(chat, me) : row && keyOf(row);
      // A log that is only stored would not learn of it.
      for (const one of key ? [key] : vault.logs()) {
        const log = logs.get(one);
        if (log) log.change(chat);
        else vault.forgetLog(one);
        touchChats(one);
      }
      return key && list.change(key, chat) ? key : null;
    },

    /** A conversation has changed. Returns its key if there is more to load, null if it is not known which. */
    assign: (part: ConversationPart): ConversationKey | undefined | null => {
      const { id, left, clearedUpTo } = part;
      const known = list.assign(part);
      const row = id && list.byId(id);
      // One has left a group that is not known here; or it is a direct conversation, which the list may bring.
      if (!row) {
        if (left) return;
        // Chats may be stored whose row is not. Only the row says whose they are.
        if (clearedUpTo) for (const one of [...logs.keys(), ...vault.logs()]) if (!list.rows.has(one)) forget(one);
        return null;
      }
      const key = keyOf(row);
      touchChats(key);
      if (known?.left && !left) forget(key);
      else if (clearedUpTo) {
        const log = logs.get(key);
        if (log) log.clear(clearedUpTo);
        else vault.forgetLog(key);
      }
      return known && !isGone(known) && !(clearedUpTo && row.unread) ? undefined : key;
    },

    /** Adds pages to a log that is still the one for which they were asked. */
    withLog: (key: ConversationKey, log: ChatLog | undefined, chats: readonly Chat[], apply: (log: ChatLog) => void): void => {
      chats.forEach(settle);
      if (log && logs.get(key) === log) apply(log);
      touchChats(key);
    },

    setPresence: (userId: UserId, { online, lastSeenAt }: Presence): void => {
      const now = { online, lastSeenAt };
      if (toJson(presences.get(userId)) === toJson(now)) return;
      presences.set(userId, now);
      dirty.presence.add(userId);
      touch('list');
    },

    /** A `reset`: in another epoch, only unsent chats remain valid; in the same one, rows until they are loaded. */
    reset: (same: boolean): void => {
      state.complete = false;
      list.reset(same);
      outbox.ask();
      vault.forgetCaches();
      for (const key of logs.keys()) forget(key);
    },
  };
};
