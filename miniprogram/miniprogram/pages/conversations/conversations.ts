// The list of conversations, newest first.

import { client } from '../../imkit/current';
import type { Changes, ConversationKey, ImClient, ListChange } from '../../imkit/core/index';
import { patch } from '../../imkit/lists/patch';
import { badge, conversationRow, type ConversationRow } from '../../imkit/lists/rows';
import { sayError, texts } from '../../imkit/texts/index';

/** The service sends the presence of at most this many people. */
const MAX_WATCHED = 100;

const say = texts();

Page({
  data: {
    say: say.conversations,
    rows: [] as ConversationRow[],
    isEmpty: false,
    hasMore: false,
    /** Whether oneself is online: otherwise nobody knows who else is. */
    isOnline: false,
    isRefreshing: false,
  },

  /** Whether the page is on the screen: only then it watches people and sets the badge. */
  isShown: false,
  /** The badge that is set; null if that is not known. */
  badge: null as string | null,

  leave() {
    // Replaced when the page follows a client.
  },

  onLoad() {
    const current = client();
    if (!current) return;
    this.leave = current.subscribe((changes) => {
      this.follow(current, changes);
    });
    this.draw(current);
  },

  onShow() {
    const current = client();
    if (!current) {
      void wx.reLaunch({ url: '/pages/sign-in/sign-in' });
      return;
    }
    this.isShown = true;
    this.badge = null;
    void wx.setNavigationBarTitle({ title: say.conversations.title });
    say.tabs.forEach((text, index) => {
      void wx.setTabBarItem({ index, text });
    });
    // The day may have changed since the times were drawn.
    this.draw(current);
    this.watch(current);
  },

  onHide() {
    this.isShown = false;
  },

  onUnload() {
    this.isShown = false;
    this.leave();
  },

  follow(current: ImClient, changes: Changes) {
    if (changes.conversations) {
      this.patch(current, changes.conversations);
      this.watch(current);
    }
    // The list may be loaded, and the total change, without any other change.
    this.setBadge(current);
    const rest = this.rest(current);
    const { isEmpty, hasMore, isOnline } = this.data;
    if (rest.isEmpty !== isEmpty || rest.hasMore !== hasMore || rest.isOnline !== isOnline) this.setData(rest);
    if (changes.typing.length > 0) this.patch(current, this.rowsOf(current, changes.typing));
  },

  /** A change of the rows of these conversations. */
  rowsOf(current: ImClient, keys: readonly ConversationKey[]): ListChange {
    const list = current.conversations();
    const changed = list.flatMap(({ key }, index) => (keys.includes(key) ? [index] : []));
    return { index: list.length, removed: 0, inserted: 0, changed };
  },

  draw(current: ImClient) {
    const list = current.conversations();
    const rows = list.map((_, index) => this.row(current, index));
    this.setData({ rows, ...this.rest(current) });
    this.setBadge(current);
  },

  patch(current: ImClient, change: ListChange) {
    const after = current.conversations().length;
    const data = patch('rows', change, this.data.rows.length, after, (at) => this.row(current, at));
    this.setData({ ...data, ...this.rest(current) });
    this.setBadge(current);
  },

  row(current: ImClient, index: number): ConversationRow {
    const conversation = current.conversations()[index];
    if (!conversation) throw new RangeError(`there is no conversation ${index}`);
    const isTyping = current.isTyping(conversation.key);
    return conversationRow(conversation, isTyping, Date.now(), say);
  },

  rest(current: ImClient) {
    const isEmpty = current.conversationsLoaded && current.conversations().length === 0;
    return { isEmpty, hasMore: current.hasMoreConversations, isOnline: current.connection.phase === 'online' };
  },

  setBadge(current: ImClient) {
    if (!this.isShown) return;
    const text = badge(current.unreadTotal);
    if (text === this.badge) return;
    this.badge = text;
    if (text) void wx.setTabBarBadge({ index: 0, text });
    else void wx.removeTabBarBadge({ index: 0 });
  },

  watch(current: ImClient) {
    if (!this.isShown) return;
    current.watch(
      current
        .conversations()
        .slice(0, MAX_WATCHED)
        .flatMap(({ peer }) => (peer ? [peer.id] : [])),
    );
  },

  onOpen({ currentTarget }: WechatMiniprogram.TouchEvent) {
    const { key } = currentTarget.dataset as { key: ConversationKey };
    void wx.navigateTo({ url: `/pages/chat/chat?peer=${key}` });
  },

  onStart() {
    void wx.navigateTo({ url: '/pages/find/find' });
  },

  async onRefresh() {
    this.setData({ isRefreshing: true });
    try {
      await client()?.refreshConversations();
    } catch (error) {
      void wx.showToast({ title: sayError(error), icon: 'none' });
    }
    this.setData({ isRefreshing: false });
  },

  onLower() {
    const current = client();
    if (!current?.hasMoreConversations) return;
    current.loadMoreConversations().catch((error: unknown) => {
      void wx.showToast({ title: sayError(error), icon: 'none' });
    });
  },
});
