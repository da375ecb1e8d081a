// A conversation, with one person or a group.

import { client } from '../../imkit/current';
import {
  ImError,
  toKey,
  type Changes,
  type ConversationKey,
  type ImClient,
  type SendRefusal,
  type User,
} from '../../imkit/core/index';
import { patch } from '../../imkit/lists/patch';
import { chatRow, titleOf, type ChatRow } from '../../imkit/lists/rows';
import { longTime } from '../../imkit/texts/time';
import { sayError, texts } from '../../imkit/texts/index';
import { arrived, asked, OPENED, rested, restMs, scrolled, seen, type End } from './end';
import { choices, offer } from './menu';

const say = texts();

/** A scroll position beyond the end of any list, in pixels. */
const BOTTOM = 10_000_000;

/** The end counts as visible up to this many pixels below the screen. */
const NEAR_END_PX = 80;

interface Face {
  id: number;
  name: string;
  avatarUrl: string;
}

function face({ id, name, avatarUrl }: User): Face {
  return { id, name, avatarUrl: avatarUrl ?? '' };
}

Page({
  data: {
    say: say.chat,
    me: { id: 0, name: '', avatarUrl: '' },
    peer: { id: 0, name: '', avatarUrl: '' },
    isGroup: false,
    rows: [] as ChatRow[],
    isLoaded: false,
    hasMore: false,
    isLoading: false,
    /** Whether older chats were loaded. The page says that there are no more only if so. */
    hasLoadedOlder: false,
    end: OPENED,
    isTyping: false,
    isOnline: false,
    presence: '',
    draftOf: '',
    scrollTop: 0,
    scrollInto: '',
  },

  /** The conversation: a person, or a group. */
  peerId: null as ConversationKey | null,
  isShown: false,
  timer: 0,

  leave() {
    // Replaced when the page follows a client.
  },

  onLoad(options: Record<string, string | undefined>) {
    const current = client();
    const peerId = toKey(options['peer']);
    this.peerId = peerId;
    if (!current || peerId === null) return;
    const unsubscribe = current.subscribe((changes) => {
      this.follow(current, peerId, changes);
    });
    current.open(peerId);
    this.leave = () => {
      unsubscribe();
      current.close(peerId);
    };
    this.setData({ me: face(current.me), draftOf: String(peerId), isGroup: typeof peerId === 'string' });
    this.draw(current, peerId);
    void this.meet(current, peerId);
  },

  onReady() {
    this.createIntersectionObserver({})
      .relativeTo('#list', { top: 0, right: 0, bottom: NEAR_END_PX, left: 0 })
      .observe('#end', ({ intersectionRatio, intersectionRect }) => {
        // The ratio is always 0 for an element that is thinner than a pixel.
        this.see(intersectionRatio > 0 || intersectionRect.height > 0);
      });
    this.toEnd();
  },

  onShow() {
    const current = client();
    if (!current || this.peerId === null) {
      const query = this.peerId === null ? '' : `?peer=${this.peerId}`;
      void wx.reLaunch({ url: `/pages/sign-in/sign-in${query}` });
      return;
    }
    this.isShown = true;
    this.setTitle();
    current.watch(typeof this.peerId === 'number' ? [this.peerId] : []);
    this.markRead();
  },

  onHide() {
    this.isShown = false;
  },

  onUnload() {
    this.isShown = false;
    clearTimeout(this.timer);
    this.leave();
  },

  onResize() {
    this.onLayout();
  },

  /** Finds the peer: the list of conversations may not have them yet. */
  async meet(current: ImClient, peerId: ConversationKey) {
    if (typeof peerId === 'string') {
      this.rename(current, peerId);
      return;
    }
    try {
      const peer = current.conversation(peerId)?.peer ?? (await current.user(peerId));
      this.setData({ peer: face(peer) });
      this.setTitle();
    } catch (error) {
      if (error instanceof ImError && error.status === 404) {
        // A stranger, or no such user: the first chat will show.
        this.setData({ peer: { id: peerId, name: String(peerId), avatarUrl: '' } });
        this.setTitle();
        return;
      }
      void wx.showToast({ title: sayError(error, say.chat.refused), icon: 'none' });
    }
  },

  setTitle() {
    if (this.isShown) void wx.setNavigationBarTitle({ title: this.data.peer.name });
  },

  follow(current: ImClient, peerId: ConversationKey, changes: Changes) {
    if (changes.me) this.setData({ me: face(current.me) });
    if (changes.conversations) this.rename(current, peerId);
    const isThere = typeof peerId === 'number' && changes.presence.includes(peerId);
    if (changes.typing.includes(peerId) || isThere || changes.connection) this.drawPeer(current, peerId);
    const chats = changes.chats.get(peerId);
    if (!chats) return;
    const { items, hasMore, loaded } = current.chats(peerId);
    const before = this.data.rows.length;
    const render = (at: number) => chatRow(items, at, Date.now(), say);
    const rows = chats.items ? patch('rows', chats.items, before, items.length, render, true) : {};
    const grown = chats.items && chats.items.index + chats.items.removed >= before ? chats.items.inserted : 0;
    const count = items.slice(items.length - grown).filter((item) => !item.mine).length;
    this.setData({ ...rows, hasMore, isLoaded: loaded, end: arrived(this.data.end, count) }, () => {
      this.onLayout();
    });
    this.markRead();
  },

  rename(current: ImClient, peerId: ConversationKey) {
    const known = current.conversation(peerId);
    if (!known) return;
    const peer = { id: known.peer?.id ?? 0, name: titleOf(known, say), avatarUrl: known.avatarUrl ?? '' };
    if (peer.name === this.data.peer.name && peer.avatarUrl === this.data.peer.avatarUrl) return;
    this.setData({ peer });
    this.setTitle();
  },

  draw(current: ImClient, peerId: ConversationKey) {
    const { items, hasMore, loaded } = current.chats(peerId);
    const rows = items.map((_, index) => chatRow(items, index, Date.now(), say));
    this.setData({ rows, hasMore, isLoaded: loaded });
    this.drawPeer(current, peerId);
  },

  drawPeer(current: ImClient, peerId: ConversationKey) {
    // Without a connection nobody knows.
    const isKnown = current.connection.phase === 'online' && typeof peerId === 'number';
    const known = isKnown ? current.presence(peerId) : null;
    const isOnline = known?.online === true;
    const lastSeen = known?.lastSeenAt;
    const away = lastSeen ? say.chat.lastSeen + longTime(lastSeen, Date.now(), say) : say.chat.offline;
    const presence = known ? (isOnline ? say.chat.online : away) : '';
    this.setData({ isTyping: current.isTyping(peerId), isOnline, presence });
  },

  // ---- The list

  /** Scrolls to the newest chat. */
  toEnd(end?: End) {
    // The value has to change each time, or the list does not scroll.
    const scrollTop = this.data.scrollTop === BOTTOM ? BOTTOM + 1 : BOTTOM;
    this.setData({ scrollTop, end: scrolled(end ?? this.data.end, Date.now()) });
  },

  /** The end of the list entered or left the screen. */
  see(isVisible: boolean) {
    clearTimeout(this.timer);
    this.setData({ end: seen(this.data.end, isVisible) });
    if (isVisible) {
      this.markRead();
      return;
    }
    const settle = () => {
      this.setData({ end: rested(this.data.end) });
    };
    this.timer = setTimeout(settle, restMs(this.data.end, Date.now()));
  },

  markRead() {
    if (this.isShown && this.data.end.isFollowing && this.peerId !== null) client()?.markRead(this.peerId);
  },

  onLayout() {
    if (this.data.end.isFollowing) this.toEnd();
  },

  onNewest() {
    this.toEnd(asked(this.data.end));
    this.markRead();
  },

  async onOlder() {
    const current = client();
    const { peerId } = this;
    if (!current || peerId === null || this.data.isLoading || !this.data.hasMore) return;
    const first = this.data.rows[0]?.key ?? '';
    this.setData({ isLoading: true });
    try {
      await current.loadOlder(peerId);
      // `Changes` come after the call: scroll once the older chats are on the screen above the former first one.
      wx.nextTick(() => {
        this.setData({ isLoading: false, hasLoadedOlder: true, scrollInto: '' });
        if (!this.data.end.isFollowing) this.setData({ scrollInto: first });
      });
    } catch (error) {
      this.setData({ isLoading: false });
      void wx.showToast({ title: sayError(error), icon: 'none' });
    }
  },

  onList() {
    this.composer().rest();
  },

  onBubble({ currentTarget }: WechatMiniprogram.TouchEvent) {
    this.offer(currentTarget, true);
  },

  onFailed({ currentTarget }: WechatMiniprogram.TouchEvent) {
    this.offer(currentTarget, false);
  },

  offer({ dataset }: WechatMiniprogram.Target, isText: boolean) {
    const row = this.data.rows[(dataset as { index: number }).index];
    const current = client();
    if (row && current && this.peerId !== null) void offer(choices(current, this.peerId, row, isText));
  },

  // ---- The bar at the bottom

  composer() {
    return this.selectComponent('#composer') as unknown as { rest(): void; clear(): void };
  },

  onTyping() {
    if (this.peerId !== null) client()?.typing(this.peerId);
  },

  onSend({ detail }: WechatMiniprogram.CustomEvent<{ text: string }>) {
    const current = client();
    if (!current || this.peerId === null) return;
    const result = current.send(this.peerId, detail.text);
    if (!result.ok) {
      void wx.showToast({ title: refusal(result.code), icon: 'none' });
      return;
    }
    this.composer().clear();
    this.onNewest();
  },
});

function refusal(code: SendRefusal): string {
  const { tooLong, outboxFull, storageFull } = say.chat;
  const words: Record<SendRefusal, string> = {
    blank: say.unknownError,
    too_long: tooLong,
    outbox_full: outboxFull,
    storage_full: storageFull,
  };
  return words[code];
}
