// A conversation, with one person or a group. Emits `title` with the name when its page is shown and when the name
// changes, `info` for its info page, `person` with `{userId}` for a profile, `grants` of subscribe messages, and `card`
// when a card is tapped: its `title`, `path`, `url`, `data`. Its slot is above the composer.

import { client } from '../../current';
import {
  ImError,
  toKey,
  type Changes,
  type ConversationKey,
  type ImClient,
  type User,
} from '../../core/index';
import { eachMidnight } from '../../lists/midnight';
import { patch } from '../../lists/patch';
import { picturesOf } from '../../lists/pictures';
import { chatRow, titleOf, type ChatRow } from '../../lists/rows';
import { remember } from '../../lists/unlisted';
import { longTime } from '../../texts/time';
import { release } from '../../media/outgoing';
import { sayError, texts } from '../../texts/index';
import { acting, drawAgain } from './acting';
import { STATE, type Composer, type Menu } from './chat';
import { arrived, asked, OPENED, readUp, rested, restMs, scrolled, seen, type End } from './end';
import { beginUnread, jumping, offerUnread } from './jumping';
import { anchor, isAbove, older } from './older';
import { sending } from './sending';
import { sheets } from './sheets';
import { tapping } from './tapping';
import { beginDraft, endDraft, takeDraft, writing } from './writing';

const say = texts();

/** A scroll position beyond the end of any list, in pixels. */
const BOTTOM = 10_000_000;

/** The end counts as visible up to this many pixels below the screen. */
const NEAR_END_PX = 80;

const NO_PICTURES: Record<number, string> = {};

interface Face {
  id: number;
  name: string;
  avatarUrl: string;
}

function face({ id, name, avatarUrl }: User): Face {
  return { id, name, avatarUrl: avatarUrl ?? '' };
}

Component({
  properties: {
    /** A user's id, or a group's, as text. */
    conversation: { type: String, value: '' },
    /** The templates of subscribe messages that the service has. */
    templates: Array,
    /** Whether a tap on a card opens its page. If not, the host does it by the event `card`. */
    opensCards: { type: Boolean, value: true },
  },

  data: {
    ...STATE,
    say: { ...say.chat, ...say.menu },
    me: { id: 0, name: '', avatarUrl: '' },
    peer: { id: 0, name: '', avatarUrl: '' },
    isGroup: false,
    /** Of the members of a group, by user id. */
    pictures: NO_PICTURES,
    rows: [] as ChatRow[],
    isLoaded: false,
    hasMore: false,
    isLoading: false,
    /** Whether older chats were loaded once: only then does the page say 没有更多了. */
    hasLoadedOlder: false,
    end: OPENED,
    isTyping: false,
    isOnline: false,
    presence: '',
    /** The peer is known to be away. */
    isAway: false,
    draftOf: '',
    scrollTop: 0,
    scrollInto: '',
    /** Whether times were written on another day, while nobody saw them. */
    isOfYesterday: false,
    /** Whether the page is on the screen; null before that is known. */
    isShown: null as boolean | null,
    timer: 0,
  },

  observers: {
    conversation() {
      this.begin();
    },
  },

  lifetimes: {
    ready() {
      this.createIntersectionObserver({})
        .relativeTo('#list', { top: 0, right: 0, bottom: NEAR_END_PX, left: 0 })
        .observe('#end', ({ intersectionRatio, intersectionRect }) => {
          // The ratio is always 0 for an element that is thinner than a pixel.
          this.see(intersectionRatio > 0 || intersectionRect.height > 0);
        });
      this.toEnd();
      // A component that comes onto a page which is there already hears of no `show`.
      if (this.data.isShown === null) this.enter();
    },

    detached() {
      this.data.isShown = false;
      for (const timer of [this.data.timer, this.data.againTimer, this.data.jumpTimer]) clearTimeout(timer);
      endDraft(this);
      this.leave();
    },
  },

  pageLifetimes: {
    show() {
      this.enter();
    },

    hide() {
      this.data.isShown = false;
      endDraft(this);
    },

    resize() {
      this.onLayout();
    },
  },

  methods: {
    ...acting,
    ...jumping,
    ...older,
    ...sending,
    ...sheets,
    ...tapping,
    ...writing,

    leave() {
      // Replaced when it follows a client.
    },

    key(): ConversationKey | null {
      return toKey(this.data.conversation);
    },

    /** Follows the conversation. */
    begin() {
      this.leave();
      const current = client();
      const key = this.key();
      if (!current || key === null) return;
      beginUnread(this);
      const unsubscribe = current.subscribe((changes) => {
        this.follow(current, key, changes);
      });
      const sleep = eachMidnight(() => {
        if (this.data.isShown) this.drawTimes(current, key);
        else this.data.isOfYesterday = true;
      });
      current.open(key);
      this.leave = () => {
        unsubscribe();
        sleep();
        release(current, key);
        current.close(key);
      };
      this.setData({
        me: face(current.me),
        draftOf: String(key),
        start: beginDraft(this),
        isGroup: typeof key === 'string',
        hasLoadedOlder: false,
        end: OPENED,
      });
      this.draw(current, key);
      void this.meet(current, key);
      if (this.data.isShown) this.enter();
    },

    /** The page comes onto the screen. */
    enter() {
      const current = client();
      const key = this.key();
      this.data.isShown = true;
      if (!current || key === null) return;
      if (this.data.isOfYesterday) this.drawTimes(current, key);
      this.setTitle();
      current.watch(typeof key === 'number' ? [key] : []);
      this.markRead();
    },

    /** Finds the peer: the list of conversations may not have them yet. */
    async meet(current: ImClient, key: ConversationKey) {
      if (typeof key === 'string') {
        this.rename(current, key);
        // Without an answer, letters stand for the pictures.
        const pictures = await picturesOf(current, key).catch(() => ({}));
        if (Object.keys(pictures).length > 0) this.setData({ pictures });
        return;
      }
      try {
        const peer = current.conversation(key)?.peer ?? (await current.user(key));
        this.setData({ peer: face(peer) });
        this.setTitle();
        this.remember(current, key);
      } catch (error) {
        if (error instanceof ImError && error.status === 404) {
          // A stranger, or no such user: the first chat will show.
          this.setData({ peer: { id: key, name: String(key), avatarUrl: '' } });
          this.setTitle();
          return;
        }
        void wx.showToast({ title: sayError(error, say.chat.refused), icon: 'none' });
      }
    },

    /** The list needs a name for somebody new, whose first chat is not sent yet. */
    remember(current: ImClient, key: ConversationKey) {
      const { name, avatarUrl } = this.data.peer;
      remember(current, key, name || String(key), avatarUrl || null);
    },

    setTitle() {
      if (this.data.isShown) this.triggerEvent('title', { title: this.data.peer.name });
    },

    follow(current: ImClient, key: ConversationKey, changes: Changes) {
      if (changes.me) this.setData({ me: face(current.me) });
      if (changes.conversations) {
        this.rename(current, key);
        takeDraft(this);
      }
      const isThere = typeof key === 'number' && changes.presence.includes(key);
      if (changes.typing.includes(key) || isThere || changes.connection) this.drawPeer(current, key);
      const chats = changes.chats.get(key);
      if (!chats) return;
      this.remember(current, key);
      const { items, hasMore, loaded } = current.chats(key);
      const before = this.data.rows.length;
      const render = (at: number) => chatRow(items, at, Date.now(), say);
      const rows = chats.items ? patch('rows', chats.items, before, items.length, render, true) : {};
      const grown = chats.items && chats.items.index + chats.items.removed >= before ? chats.items.inserted : 0;
      const count = items.slice(items.length - grown).filter((item) => !item.mine).length;
      const areOlder = before > 0 && chats.items !== null && isAbove(chats.items);
      const end = arrived(areOlder ? readUp(this.data.end) : this.data.end, count);
      this.setData({ ...rows, hasMore, isLoaded: loaded, end }, () => {
        this.onLayout();
        if (areOlder && !this.data.end.isFollowing) anchor(this);
        if (chats.loaded && loaded) offerUnread(this);
      });
      drawAgain(this);
      this.markRead();
    },

    rename(current: ImClient, key: ConversationKey) {
      const known = current.conversation(key);
      if (!known) return;
      const peer = { id: known.peer?.id ?? 0, name: titleOf(known, say), avatarUrl: known.avatarUrl ?? '' };
      if (peer.name === this.data.peer.name && peer.avatarUrl === this.data.peer.avatarUrl) return;
      this.setData({ peer });
      this.setTitle();
    },

    draw(current: ImClient, key: ConversationKey) {
      const { items, hasMore, loaded } = current.chats(key);
      const rows = items.map((_, index) => chatRow(items, index, Date.now(), say));
      this.setData({ rows, hasMore, isLoaded: loaded }, () => {
        if (loaded) offerUnread(this);
      });
      drawAgain(this);
      this.drawPeer(current, key);
    },

    drawTimes(current: ImClient, key: ConversationKey) {
      const { items } = current.chats(key);
      this.data.isOfYesterday = false;
      this.setData({ rows: items.map((_, index) => chatRow(items, index, Date.now(), say)) });
      this.drawPeer(current, key);
    },

    drawPeer(current: ImClient, key: ConversationKey) {
      // Without a connection nobody knows.
      const isKnown = current.connection.phase === 'online' && typeof key === 'number';
      const known = isKnown ? current.presence(key) : null;
      const isOnline = known?.online === true;
      const lastSeen = known?.lastSeenAt;
      const away = lastSeen ? say.chat.lastSeen + longTime(lastSeen, Date.now(), say) : say.chat.offline;
      const presence = known ? (isOnline ? say.chat.online : away) : '';
      this.setData({ isTyping: current.isTyping(key), isOnline, presence, isAway: known !== null && !isOnline });
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
      // Leaving the page is no scrolling.
      if (this.data.isShown === false) return;
      clearTimeout(this.data.timer);
      this.setData({ end: seen(this.data.end, isVisible) });
      if (isVisible) {
        this.markRead();
        return;
      }
      const settle = () => {
        this.setData({ end: rested(this.data.end) });
      };
      this.data.timer = setTimeout(settle, restMs(this.data.end, Date.now()));
    },

    markRead() {
      const key = this.key();
      if (this.data.isShown && this.data.end.isFollowing && key !== null) client()?.markRead(key);
    },

    onLayout() {
      if (this.data.end.isFollowing) this.toEnd();
    },

    onNewest() {
      this.toEnd(asked(this.data.end));
      this.markRead();
    },

    onList() {
      this.composer().rest();
    },

    // ---- The bar at the bottom

    composer() {
      return this.selectComponent('#composer') as unknown as Composer;
    },

    menu() {
      return this.selectComponent('#menu') as unknown as Menu;
    },

    onTyping() {
      const key = this.key();
      if (key !== null) client()?.typing(key);
    },

    // ---- What the page does

    /** While the tap that has sent a chat is handled. */
    renewNotice() {
      (this.selectComponent('#notify') as unknown as { renew(): void } | null)?.renew();
    },

    onGrants({ detail }: WechatMiniprogram.CustomEvent) {
      this.triggerEvent('grants', detail);
    },

    onInfo() {
      this.triggerEvent('info');
    },

    onPicture({ currentTarget }: WechatMiniprogram.TouchEvent) {
      this.triggerEvent('person', currentTarget.dataset);
    },
  },
});
