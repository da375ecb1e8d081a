// What the service answers over HTTP.

import { isIn, type Own, type Store } from './store';

export interface Answer {
  readonly status: number;
  readonly json?: unknown;
  readonly retryAfter?: number;
}

/** Small, so that runs have several pages, and gaps between them. */
const PAGE = 8;

const NOT_FOUND: Answer = { status: 404, json: { code: 'conversation_not_found' } };

/** Answers a request of this user. */
export function answer(store: Store, userId: number, method: string, path: string, body: string): Answer {
  const url = new URL(path, 'http://server');
  const given = (body ? JSON.parse(body) : {}) as Partial<Own> & { title?: string; userIds?: number[]; key?: string; upTo?: number };
  const number = (name: string) => Number(url.searchParams.get(name) ?? 0);
  if (url.pathname === '/v1/me') return { status: 200, json: store.user(userId) };
  if (url.pathname === '/v1/conversations') {
    if (method === 'GET') return { status: 200, json: list(store, userId, number('before'), number('peerId')) };
    return { status: 201, json: store.row(userId, store.group(userId, given.title ?? '', given.userIds ?? [], given.key)) };
  }
  const [, what, id = '', below = ''] = /^\/v1\/(conversations|chats)\/(\d+)\/?(.*)$/.exec(url.pathname) ?? [];
  if (what === 'chats') return act(store, userId, Number(id), method);
  const conversation = store.conversations.find((one) => one.id === Number(id) && one.people.has(userId));
  const member = conversation?.people.get(userId);
  if (!conversation || !member) return NOT_FOUND;
  if (method === 'GET' && below === '') return { status: 200, json: store.row(userId, conversation) };
  const all = store.visible(userId, conversation);
  if (method === 'GET' && url.searchParams.has('changedSince')) {
    const since = number('changedSince');
    const changed = all.filter(({ changedAt }) => changedAt > since).sort((a, b) => a.changedAt - b.changedAt);
    const page = changed.slice(0, PAGE);
    const hasMore = page.length < changed.length;
    const version = hasMore ? page[page.length - 1]!.changedAt : conversation.version;
    return { status: 200, json: { chats: page.map((chat) => store.shown(chat)), version, hasMore } };
  }
  if (method === 'GET') {
    const before = number('before') || Infinity;
    const older = all.filter((chat) => chat.id < before);
    const page = older.slice(-PAGE);
    return { status: 200, json: { chats: page.map((chat) => store.shown(chat)), hasMore: page.length < older.length } };
  }
  if (!isIn(member.stretches)) return NOT_FOUND;
  const last = conversation.chats[conversation.chats.length - 1]?.id ?? 0;
  if (below === 'read') {
    store.read(userId, conversation.id, given.upTo ?? 0);
    return { status: 204 };
  }
  if (below === 'settings') store.keep(userId, conversation, given);
  if (below === 'hide') store.keep(userId, conversation, { hiddenUpTo: last });
  if (below === 'clear') store.keep(userId, conversation, { clearedUpTo: last });
  if (below === `members/${userId}` && method === 'DELETE') store.leave(conversation, userId);
  return below === 'settings' ? { status: 200, json: store.row(userId, conversation) } : { status: 204 };
}

/** Recalls or deletes a chat. */
function act(store: Store, userId: number, id: number, method: string): Answer {
  const chat = store.conversations.flatMap(({ chats }) => chats).find((one) => one.id === id);
  if (!chat || !store.reads(userId, chat)) return { status: 404, json: { code: 'chat_not_found' } };
  if (method === 'DELETE') store.remove(userId, chat);
  else if (chat.userId !== userId || chat.kind === 'system') return { status: 403, json: { code: 'forbidden' } };
  else store.recall(chat);
  return method === 'DELETE' ? { status: 204 } : { status: 200, json: { chat: store.shown(chat) } };
}

function list(store: Store, userId: number, before: number, peerId: number) {
  const listed = store.listed(userId);
  const unreadTotal = Math.min(100, listed.reduce((sum, { muted, unread }) => sum + (muted ? 0 : unread), 0));
  const found = peerId ? store.conversation(userId, peerId) : undefined;
  if (peerId) return { conversations: found?.chats.length ? [store.row(userId, found)] : [], hasMore: false, unreadTotal };
  const all = listed.filter(({ pinned, position }) => !pinned && (before === 0 || position < before));
  const pinned = before === 0 ? { pinned: listed.filter((row) => row.pinned) } : {};
  return { conversations: all.slice(0, PAGE), hasMore: all.length > PAGE, unreadTotal, ...pinned };
}
