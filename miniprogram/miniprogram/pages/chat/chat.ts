// A conversation with one person.

import { client } from '../../account';
import {
  ImError,
  toUserId,
  type Changes,
  type ImClient,
  type SendRefusal,
  type User,
  type UserId,
} from '../../im/index';
import { patch } from '../../lists/patch';
import { chatRow, type ChatRow } from '../../lists/rows';
import { longTime } from '../../texts/time';
import { sayError, texts } from '../../texts/index';
import { insert, removeBefore } from './draft';

const say = texts();

/** More than any list is high, in pixels: where the newest chat is. */
const BOTTOM = 10_000_000;

/** Milliseconds in which a list comes to rest after it was scrolled by the page itself. */
const SETTLE_MS = 400;

/** Pixels above the end that count as the end. */
const NEAR_END_PX = 80;

/** What was typed and not sent, for as long as the app runs. */
const DRAFTS = new Map<UserId, string>();

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
    rows: [] as ChatRow[],
    isLoaded: false,
    hasMore: false,
    isLoading: false,
    /** Whether older chats were loaded: then it is worth saying that there are no more. */
    hasLoadedOlder: false,
    /** Whether the list shows the newest chat, and goes on showing it. */
    isFollowing: true,
    /** Chats that came since it does not. */
    unseen: 0,
    isTyping: false,
    isOnline: false,
    presence: '',
    draft: '',
    canSend: false,
    panel: false,
    hasFocus: false,
    keyboardHeight: 0,
    scrollTop: 0,
    scrollInto: '',
  },

  peerId: null as UserId | null,
  isShown: false,
  /** Whether the end of the list is on the screen. */
  isEndVisible: true,
  /** Until when the list moves because of the page, in ms since 1970. */
  settledAt: 0,
  timer: 0,
  /** Where the next emoji goes; null: at the end. */
  cursor: null as number | null,

  leave() {
    // Replaced when the page follows a client.
  },

  onLoad(options: Record<string, string | undefined>) {
    const current = client();
    const peerId = toUserId(options['peer']);
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
    const draft = DRAFTS.get(peerId) ?? '';
    this.setData({ me: face(current.me), draft, canSend: draft.trim() !== '' });
    this.draw(current, peerId);
    void this.meet(current, peerId);
  },

  onReady() {
    this.createIntersectionObserver({})
      .relativeTo('#list', { top: 0, right: 0, bottom: NEAR_END_PX, left: 0 })
      .observe('#end', ({ intersectionRatio, intersectionRect }) => {
        // Of an end that is thinner than a pixel the ratio is 0 wherever it is.
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
    current.watch([this.peerId]);
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

  /** Finds out whom this is with: the list of conversations may not have them yet. */
  async meet(current: ImClient, peerId: UserId) {
    try {
      const peer = current.conversation(peerId)?.peer ?? (await current.user(peerId));
      this.setData({ peer: face(peer) });
      this.setTitle();
    } catch (error) {
      if (error instanceof ImError && error.status === 404) {
        // A stranger, or nobody: the first chat tells.
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

  follow(current: ImClient, peerId: UserId, changes: Changes) {
    if (changes.me) this.setData({ me: face(current.me) });
    if (changes.conversations) this.rename(current, peerId);
    if (changes.typing.includes(peerId) || changes.presence.includes(peerId)) this.drawPeer(current, peerId);
    const chats = changes.chats.get(peerId);
    if (!chats) return;
    const { items, hasMore, loaded } = current.chats(peerId);
    const before = this.data.rows.length;
    const render = (at: number) => chatRow(items, at, Date.now(), say);
    const rows = chats.items ? patch('rows', chats.items, before, items.length, render, true) : {};
    const grown = chats.items && chats.items.index + chats.items.removed >= before ? chats.items.inserted : 0;
    const arrived = items.slice(items.length - grown).filter((item) => !item.mine).length;
    const unseen = this.data.isFollowing ? 0 : this.data.unseen + arrived;
    this.setData({ ...rows, hasMore, isLoaded: loaded, unseen }, () => {
      if (this.data.isFollowing) this.toEnd();
    });
    this.markRead();
  },

  rename(current: ImClient, peerId: UserId) {
    const peer = current.conversation(peerId)?.peer;
    const { name, avatarUrl } = this.data.peer;
    if (!peer || (peer.name === name && (peer.avatarUrl ?? '') === avatarUrl)) return;
    this.setData({ peer: face(peer) });
    this.setTitle();
  },

  draw(current: ImClient, peerId: UserId) {
    const { items, hasMore, loaded } = current.chats(peerId);
    const rows = items.map((_, index) => chatRow(items, index, Date.now(), say));
    this.setData({ rows, hasMore, isLoaded: loaded });
    this.drawPeer(current, peerId);
  },

  drawPeer(current: ImClient, peerId: UserId) {
    const known = current.presence(peerId);
    const isOnline = known?.online === true;
    const lastSeen = known?.lastSeenAt;
    const away = lastSeen ? say.chat.lastSeen + longTime(lastSeen, Date.now(), say) : say.chat.offline;
    const presence = known ? (isOnline ? say.chat.online : away) : '';
    this.setData({ isTyping: current.isTyping(peerId), isOnline, presence });
  },

  // ---- The list

  /** Shows the newest chat, and stays there. */
  toEnd() {
    this.settledAt = Date.now() + SETTLE_MS;
    // Another value each time: the same one again would not scroll.
    const scrollTop = this.data.scrollTop === BOTTOM ? BOTTOM + 1 : BOTTOM;
    this.setData({ scrollTop });
  },

  /** The end of the list came on the screen, or left it. */
  see(isEndVisible: boolean) {
    this.isEndVisible = isEndVisible;
    clearTimeout(this.timer);
    if (isEndVisible) {
      if (!this.data.isFollowing) this.setData({ isFollowing: true, unseen: 0 });
      this.markRead();
      return;
    }
    // New chats push the end off the screen for a moment; a reader who scrolls up leaves it there.
    const rest = Math.max(0, this.settledAt - Date.now());
    this.timer = setTimeout(() => {
      if (!this.isEndVisible && this.data.isFollowing) this.setData({ isFollowing: false });
    }, rest);
  },

  markRead() {
    if (this.isShown && this.data.isFollowing && this.peerId !== null) client()?.markRead(this.peerId);
  },

  onLayout() {
    if (this.data.isFollowing) this.toEnd();
  },

  onNewest() {
    this.setData({ isFollowing: true, unseen: 0 });
    this.toEnd();
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
      // Changes are told after the call, so that what was the first chat is on the screen with those above it.
      wx.nextTick(() => {
        this.setData({ isLoading: false, hasLoadedOlder: true, scrollInto: '' });
        if (!this.data.isFollowing) this.setData({ scrollInto: first });
      });
    } catch (error) {
      this.setData({ isLoading: false });
      void wx.showToast({ title: sayError(error), icon: 'none' });
    }
  },

  onList() {
    if (this.data.panel || this.data.hasFocus) this.setData({ panel: false, hasFocus: false });
  },

  async onBubble({ currentTarget }: WechatMiniprogram.TouchEvent) {
    const { index } = currentTarget.dataset as { index: number };
    await this.offer(index, true);
  },

  async onFailed({ currentTarget }: WechatMiniprogram.TouchEvent) {
    const { index } = currentTarget.dataset as { index: number };
    await this.offer(index, false);
  },

  /** What can be done with a chat. */
  async offer(index: number, canCopy: boolean) {
    const row = this.data.rows[index];
    const current = client();
    const { peerId } = this;
    if (!row || !current || peerId === null) return;
    const copy = () => {
      void wx.setClipboardData({ data: row.text });
      void wx.showToast({ title: say.chat.copied, icon: 'none' });
    };
    const choices = [
      ...(row.status === 'failed'
        ? [
            { text: say.chat.resend, run: () => current.resend(peerId, row.key) },
            { text: say.chat.remove, run: () => current.discard(peerId, row.key) },
          ]
        : []),
      ...(canCopy ? [{ text: say.chat.copy, run: copy }] : []),
    ];
    try {
      const { tapIndex } = await wx.showActionSheet({ itemList: choices.map(({ text }) => text) });
      choices[tapIndex]?.run();
    } catch {
      // Closed without a choice.
    }
  },

  // ---- The bar at the bottom

  setDraft(draft: string) {
    if (this.peerId !== null) DRAFTS.set(this.peerId, draft);
    this.setData({ draft, canSend: draft.trim() !== '' });
  },

  onInput({ detail }: WechatMiniprogram.TextareaInput) {
    this.cursor = detail.cursor;
    this.setDraft(detail.value);
    if (this.peerId !== null && detail.value !== '') client()?.typing(this.peerId);
  },

  onFocus() {
    this.setData({ panel: false, hasFocus: true });
    this.onLayout();
  },

  onBlur({ detail }: WechatMiniprogram.TextareaBlur) {
    this.cursor = (detail as { cursor?: number }).cursor ?? this.cursor;
    if (this.data.hasFocus) this.setData({ hasFocus: false });
  },

  onKeyboard({ detail }: WechatMiniprogram.TextareaKeyboardHeightChange) {
    this.setData({ keyboardHeight: detail.height });
    this.onLayout();
  },

  onPanel() {
    const panel = !this.data.panel;
    this.setData({ panel, hasFocus: !panel }, () => {
      this.onLayout();
    });
  },

  onEmoji({ detail }: WechatMiniprogram.CustomEvent<{ emoji: string }>) {
    const { text, cursor } = insert(this.data.draft, this.cursor, detail.emoji);
    this.cursor = cursor;
    this.setDraft(text);
  },

  onErase() {
    const { text, cursor } = removeBefore(this.data.draft, this.cursor);
    this.cursor = cursor;
    this.setDraft(text);
  },

  onSend() {
    const current = client();
    const { peerId } = this;
    if (!current || peerId === null || !this.data.canSend) return;
    const result = current.send(peerId, this.data.draft);
    if (!result.ok) {
      void wx.showToast({ title: refusal(result.code), icon: 'none' });
      return;
    }
    this.cursor = null;
    this.setDraft('');
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
