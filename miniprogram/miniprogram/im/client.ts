// The client: what pages call, over the model and what keeps it in step.

import { readable, request, type Route } from './http';
import { createModel } from './model';
import { itemKey } from './outbox';
import { createSync } from './sync';
import type { Changes, ClientOptions, ImClient, Report, SendRefusal, User, UserId } from './types';
import { createVault } from './vault';
import { createView } from './view';
import { toUser, toUsers } from './wire';

/** Pages are told at once, then at most so often. */
const TELL_EVERY_MS = 50;
/** What is applied is written down so often. */
const SAVE_EVERY_MS = 1000;
/** The service's limit for a frame is 64 KiB; some of it is not content. */
const MOST_BYTES = 65_000;
/** The most people that can be watched at once. */
const MOST_WATCHED = 100;
/** Where the device's name is kept, for all accounts. */
const DEVICE = 'im1|device';

/** A client at rest: `start` connects it. It shows at once what storage has. */
export function createClient(options: ClientOptions): ImClient {
  const { platform, server } = options;
  const { clock, storage } = platform;
  const listeners = new Set<(changes: Changes) => void>();
  const reporters = new Set<(report: Report) => void>();
  const loadingOlder = new Set<UserId>();
  let telling = false;
  let toldAt = -Infinity;
  let cancelSave: (() => void) | null = null;
  let ended = false;

  const report = (code: Report['code'], detail: string): void => {
    for (const listener of [...reporters]) listener({ code, detail });
  };

  const tell = (): void => {
    telling = false;
    toldAt = clock.now();
    const changes = view.take();
    for (const listener of [...listeners]) listener(changes);
  };

  const tellSoon = (): void => {
    if (telling) return;
    telling = true;
    clock.after(Math.min(Math.max(0, toldAt + TELL_EVERY_MS - clock.now()), TELL_EVERY_MS), tell);
  };

  const save = (): void => {
    cancelSave?.();
    cancelSave = null;
    model.save();
  };

  const vault = createVault(storage, server, options.session.user.id, (written) => {
    report(written ? 'storage_evicted' : 'storage_full', 'no room');
  });
  const model = createModel(options.session, vault, clock, tellSoon);
  const view = createView(model);
  const { state, outbox, conversations, touchPeer } = model;
  const sync = createSync(options, model, device(options), report, () => {
    cancelSave ??= clock.after(SAVE_EVERY_MS, save);
  });
  const { link, ask } = sync;

  const conversation = (peerId: UserId) => view.conversations().find(({ peer }) => peer.id === peerId) ?? null;

  const changeMe = async (route: Route, body: object, contentType?: string): Promise<User> => {
    const user = readable(toUser, await ask(route, body, contentType));
    state.session = { ...state.session, user };
    model.touch('me');
    return user;
  };

  const wrote = (peerId: UserId): void => {
    touchPeer(peerId);
    sync.pump();
  };

  return {
    get me() {
      return state.session.user;
    },
    get connection() {
      return link.connection();
    },
    get hasMoreConversations() {
      return conversations.hasMore();
    },
    get conversationsLoaded() {
      return conversations.loaded();
    },

    start: () => {
      if (!ended) link.start();
    },
    stop: () => {
      link.stop();
      save();
    },
    show: link.show,
    hide: () => {
      link.hide();
      save();
    },
    network: link.network,

    signOut: async (unsent) => {
      ended = true;
      link.stop();
      cancelSave?.();
      state.complete = false;
      vault.forgetCaches();
      if (unsent === 'discard') vault.remove('outbox');
      // Without an answer the session ends by itself, when it has not been used for a while.
      await request(platform, server, state.session.token, 'POST /v1/logout').catch(() => undefined);
    },

    subscribe: (listener) => subscribe(listeners, listener),
    onReport: (listener) => subscribe(reporters, listener),

    conversations: view.conversations,
    conversation,
    refreshConversations: sync.refresh,
    loadMoreConversations: async () => {
      if (conversations.hasMore()) await sync.loadMore();
    },

    open: (peerId) => {
      model.open(peerId);
      view.open(peerId);
      sync.want(`chats:${peerId}`);
    },
    close: (peerId) => {
      if (model.close(peerId)) view.close(peerId);
    },
    chats: view.chats,
    loadOlder: async (peerId) => {
      if (loadingOlder.has(peerId) || !model.log(peerId)?.hasMore()) return;
      loadingOlder.add(peerId);
      await sync.loadOlder(peerId).finally(() => loadingOlder.delete(peerId));
    },

    send: (peerId, content) => {
      const refuse = (code: SendRefusal) => ({ ok: false, code }) as const;
      if (content.trim() === '') return refuse('blank');
      if (bytes(JSON.stringify(content)) > MOST_BYTES) return refuse('too_long');
      const id = newId(options);
      const code = outbox.add({ id, peerId, content, time: clock.now(), failure: null });
      if (code) return refuse(code);
      wrote(peerId);
      return { ok: true, key: itemKey(true, id) };
    },
    resend: (peerId, key) => {
      const entry = outbox.find(peerId, key);
      if (!entry) return false;
      outbox.resend(entry, () => newId(options), clock.now());
      wrote(peerId);
      return true;
    },
    discard: (peerId, key) => {
      const entry = outbox.find(peerId, key);
      if (!entry) return false;
      outbox.remove(entry);
      touchPeer(peerId);
      return true;
    },
    markRead: (peerId) => {
      const sent = view.chats(peerId).items.flatMap(({ id, mine }) => (id === null ? [] : [{ id, mine }]));
      const last = sent[sent.length - 1];
      const readUpTo = conversation(peerId)?.readUpTo ?? 0;
      // One's own last chat is a good mark, but no reason for one.
      if (last && sent.some(({ id, mine }) => !mine && id > readUpTo)) sync.readUpTo(peerId, last.id);
    },
    typing: sync.typing,
    isTyping: model.isTyping,

    watch: (userIds) => {
      sync.watch([...new Set(userIds)].slice(0, MOST_WATCHED));
    },
    presence: (userId) => model.presences.get(userId) ?? null,
    findUsers: async (prefix) =>
      readable(toUsers, await ask(`GET /v1/users?limit=50&query=${encodeURIComponent(prefix)}`)).entries,
    user: async (userId) => readable(toUser, await ask(`GET /v1/users/${userId}`)),
    rename: (name) => changeMe('PATCH /v1/me', { name }),
    setAvatar: (image, contentType) => changeMe('PUT /v1/me/avatar', image, contentType),
  };
}

function subscribe<T>(to: Set<T>, listener: T): () => void {
  to.add(listener);
  return () => to.delete(listener);
}

/** The device's name: given, or made once and kept. */
function device(options: ClientOptions): string {
  const { storage } = options.platform;
  const known = options.deviceId ?? storage.get(DEVICE);
  if (known !== undefined) return known;
  const made = newId(options);
  try {
    storage.set(DEVICE, made);
  } catch {
    // Without room the device has another name next time, which closes one of its sockets later.
  }
  return made;
}

/** 128 random bits. */
function newId({ platform }: ClientOptions): string {
  const part = () => Math.floor(platform.random() * 2 ** 32).toString(16).padStart(8, '0');
  return part() + part() + part() + part();
}

/** Of its UTF-8. */
function bytes(text: string): number {
  let count = 0;
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0;
    count += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  }
  return count;
}
