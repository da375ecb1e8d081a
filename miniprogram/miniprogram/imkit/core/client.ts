// The client that pages call, over the model and its synchronisation.

import type { ImClient } from './api';
import { unreadOf } from './conversations';
import { readable, request, type Ask } from './http';
import { lastOf } from './ids';
import { groupId, groupKey } from './keys';
import { MOST_BYTES, MOST_WATCHED, SAVE_EVERY_MS, TELL_EVERY_MS } from './limits';
import { createModel } from './model';
import { itemKey } from './outbox';
import type { ClientOptions, Platform } from './platform';
import { TEXT, type Outgoing } from './saved';
import type { Changes, Report } from './shown';
import { createSync } from './sync';
import { createTimer } from './timer';
import type { ChatId, ConversationId, ConversationKey, Draft, GroupKey, User, UserId } from './types';
import { createVault } from './vault';
import { createView } from './view';
import { toJson, toUser, toUsers } from './wire';

/** The query of a list that is ordered by users. */
const page = '?limit=100&after=';

/** The storage key of the device's id, which all accounts share. */
const DEVICE = 'im2|device';

/** Makes a client, which shows at once what storage has. `start` connects it. */
export const createClient = (options: ClientOptions): ImClient => {
  const { platform, server, staysConnected } = options;
  const { clock, storage } = platform;
  const saving = createTimer(clock);
  const listeners = new Set<(changes: Changes) => void>();
  const reporters = new Set<(report: Report) => void>();
  let telling = false;
  let toldAt = -Infinity;
  let saveDue = false;
  let ended = false;

  const report = (code: Report['code'], detail = ''): void => {
    for (const listener of reporters) listener({ code, detail });
  };

  const tell = (): void => {
    telling = false;
    toldAt = clock.now();
    const changes = view.take();
    for (const listener of listeners) listener(changes);
  };

  const tellSoon = (): void => {
    if (telling) return;
    telling = true;
    clock.after(Math.min(toldAt + TELL_EVERY_MS - clock.now(), TELL_EVERY_MS), tell);
  };

  const save = (): void => {
    saving();
    saveDue = false;
    model.save();
  };

  const vault = createVault(storage, server, options.session.user.id, (written) => report(written ? 'storage_evicted' : 'storage_full'));
  const model = createModel(options.session, vault, clock, tellSoon);
  const view = createView(model);
  const { state, outbox, list, touchChats } = model;
  const device = options.deviceId ?? storage.get(DEVICE) ?? newId(platform);
  try {
    storage.set(DEVICE, device);
  } catch {
    // If there is no room, the device has another id next time, and its old socket closes later.
  }
  const sync = createSync(options, model, device, report, () => {
    if (!saveDue) saving(SAVE_EVERY_MS, save);
    saveDue = true;
  });
  const { link } = sync;

  /** An action, of which the events of the timeline tell the effect; or a list that passes through to the page. */
  const act = sync.ask as <T = void>(...call: Parameters<Ask>) => Promise<T>;

  /** The path of a conversation. */
  const path = (key: ConversationKey) => {
    const id = typeof key === 'number' ? list.rows.get(key)?.id : groupId(key);
    return `/v1/conversations/${id ?? 0}` as const;
  };
  const members = (key: GroupKey) => `${path(key)}/members` as const;

  const changeMe = async (...call: Parameters<Ask>): Promise<User> => {
    const user = readable(toUser, await act<unknown>(...call));
    state.session = { ...state.session, user };
    model.touch('me');
    return user;
  };

  const wrote = (key: ConversationKey): void => {
    touchChats(key);
    sync.pump();
    sync.upload();
  };

  /** Calls `run` with an unsent item. False if there is no such item. */
  const withUnsent = (key: ConversationKey, item: string, failed: boolean, run: (entry: Outgoing) => void): boolean => {
    const entry = outbox.find(key, item);
    if (!entry || (failed && entry.failure === null)) return false;
    run(entry);
    wrote(key);
    return true;
  };

  return {
    get me() {
      return state.session.user;
    },
    get connection() {
      return link.connection();
    },
    get hasMoreConversations() {
      return list.hasMore();
    },
    get conversationsLoaded() {
      return list.loaded();
    },
    get unreadTotal() {
      return list.unreadTotal();
    },

    start: () => {
      if (!ended) link.start();
    },
    stop: () => {
      link.stop();
      save();
    },
    show: () => {
      if (staysConnected) sync.background(false);
      link.show();
    },
    hide: () => {
      if (staysConnected) sync.background(true);
      else link.hide();
      save();
    },
    network: link.network,

    signOut: async (unsent) => {
      ended = true;
      link.stop();
      // From here on nothing is stored.
      state.complete = false;
      vault.forgetCaches();
      if (unsent === 'discard') vault.remove('outbox');
      // Without an answer the session expires by itself.
      await request(platform, server, state.session.token, 'POST /v1/logout').catch(() => undefined);
    },

    subscribe: (listener) => subscribe(listeners, listener),
    onReport: (listener) => subscribe(reporters, listener),

    conversations: view.conversations,
    conversation: view.conversation,
    refreshConversations: sync.refresh,
    loadMoreConversations: sync.loadMore,

    open: (key) => {
      model.open(key);
      view.open(key);
      sync.want(`chats:${key}`);
    },
    close: (key) => {
      if (model.close(key)) view.close(key);
    },
    chats: view.chats,
    loadOlder: sync.loadOlder,

    send: (key, what) => {
      const draft: Draft = typeof what === 'string' ? { content: what } : what;
      const entry: Outgoing = { ...TEXT, content: '', ...draft, id: newId(platform), peerId: key, time: clock.now() };
      const { id, kind, content, body, mentions } = entry;
      // Its UTF-8 on the wire: `toJson` escapes lone surrogates, for which `encodeURIComponent` would throw.
      const { length } = encodeURIComponent(toJson([content, body, mentions])).replace(/%../g, ' ');
      const isBlank = kind === 'text' && !content.trim();
      const code = isBlank ? 'blank' : length > MOST_BYTES ? 'too_long' : outbox.add(entry);
      if (code) return { ok: false, code };
      wrote(key);
      return { ok: true, key: itemKey(true, id) };
    },
    resend: (key, item) =>
      withUnsent(key, item, true, (entry) => outbox.resend(entry, newId(platform), clock.now())),
    discard: (key, item) =>
      withUnsent(key, item, false, (entry) => {
        outbox.remove(entry);
        sync.cancel(entry.id);
      }),
    markRead: (key) => {
      const row = list.rows.get(key);
      // A mark may be at one's own last chat, but is sent only if something is unread.
      if (!row || !(row.markedUnread || unreadOf(row))) return;
      const last = lastOf(view.chats(key).items.filter(({ id }) => id !== null))?.id ?? 0;
      // What one has read may be gone for oneself.
      sync.readUpTo(row, Math.max(last, row.readUpTo, row.clearedUpTo) as ChatId);
    },
    typing: sync.typing,
    isTyping: model.isTyping,

    recall: (id) => act(`POST /v1/chats/${id}/recall`),
    remove: (id) => act(`DELETE /v1/chats/${id}`),
    set: async (key, settings) => {
      // A read mark that comes later would take the mark of the unread back.
      if (settings.markedUnread) await sync.settleRead(key);
      return act(`PUT ${path(key)}/settings`, settings);
    },
    hideConversation: (key) => act(`POST ${path(key)}/hide`),
    clear: (key) => act(`POST ${path(key)}/clear`),
    report: (what) => act('POST /v1/reports', what),

    createGroup: async ({ id = newId(platform), ...group }) =>
      groupKey((await act<{ readonly id: ConversationId }>('POST /v1/conversations', { kind: 'group', key: id, ...group })).id),
    setTitle: (key, title) => act(`PUT ${path(key)}`, { title }),
    members: (key, after = 0 as UserId) => act(`GET ${members(key)}${page}${after}`),
    addMembers: (key, userIds) => act(`POST ${members(key)}`, { userIds }),
    removeMember: (key, userId) => act(`DELETE ${members(key)}/${userId}`),
    setRole: (key, userId, role) => act(`PUT ${members(key)}/${userId}`, { role }),

    watch: (userIds) => sync.watch([...new Set(userIds)].slice(0, MOST_WATCHED)),
    presence: (userId) => model.presences.get(userId) ?? null,
    findUsers: async (prefix) =>
      readable(toUsers, await act<unknown>(`GET /v1/users?limit=50&query=${encodeURIComponent(prefix)}`)).users,
    user: async (userId) => readable(toUser, await act<unknown>(`GET /v1/users/${userId}`)),
    block: (userId) => act(`PUT /v1/blocks/${userId}`),
    unblock: (userId) => act(`DELETE /v1/blocks/${userId}`),
    blocks: (after = 0 as UserId) => act(`GET /v1/blocks${page}${after}`),
    rename: (name) => changeMe('PUT /v1/me', { name }),
    setAvatar: (image, contentType) => changeMe('PUT /v1/me/avatar', image, contentType),
  };
};

const subscribe = <T>(to: Set<T>, listener: T): () => void => {
  to.add(listener);
  return () => to.delete(listener);
};

/** 128 random bits. */
const newId = (platform: Platform): string => '0'.repeat(32).replace(/0/g, () => Math.floor(platform.random() * 16).toString(16));
