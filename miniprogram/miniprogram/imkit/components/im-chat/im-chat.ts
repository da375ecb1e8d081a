// A conversation, with one person or a group. Emits `title` with the name when its page is shown and when the name
// changes, `info` for its info page, `person` with `{userId}` for a profile, `grants` of subscribe messages, and `card`
// when a card is tapped: its `title`, `path`, `url`, `data`. Its slot is above the composer.

import { client } from '../../current';
import {
  toKey,
  type Changes,
  type ChatItem,
  type ConversationKey,
  type ImClient,
} from '../../core/index';
import { eachMidnight } from '../../lists/midnight';
import { createPages } from '../../lists/pages';
import { chatRow, type ChatRow } from '../../lists/rows';
import { release } from '../../media/outgoing';
import { stopVoicesOf } from '../../media/voices';
import { texts } from '../../texts/index';
import { acting, drawAgain } from './acting';
import { STATE, type Composer, type Menu } from './chat';
import { arrived, asked, OPENED, readUp, rested, restMs, scrolled, seen, type End } from './end';
import { beginUnread, jumping, offerUnread } from './jumping';
import { older } from './older';
import { drawPeer, face, meet, rememberPeer, rename } from './peer';
import { sending } from './sending';
import { sheets } from './sheets';
import { tapping } from './tapping';
import { arrange, drawRows, EDGE_PX, position } from './window';
import { beginDraft, endDraft, takeDraft, writing } from './writing';

const say = texts();

/** A scroll position beyond the end of any list, in pixels. */
const BOTTOM = 10_000_000;

/** The end counts as visible up to this many pixels below the screen. */
const NEAR_END_PX = 80;

function createList() {
  return createPages<ChatItem>((items, at): ChatRow => chatRow(items, at, Date.now(), say));
}

const NO_CHATS = createList();

/** The greatest id; 0 if no chat has one. */
function newestOf(items: readonly ChatItem[]): number {
  return items.reduce((most, { id }) => Math.max(most, id ?? 0), 0);
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
    isGroup: false,
    /** The rows of the window; `order` says which of them are drawn, the oldest first. */
    pages: [] as (readonly ChatRow[])[],
    order: [] as { id: number; slot: number }[],
    /** The pixels of what is not drawn. */
    above: 0,
    below: 0,
    isLoaded: false,
    isEmpty: true,
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
    scrollInto: '',
    /** Whether the page is on the screen; null before that is known. */
    isShown: null as boolean | null,
    /** Something has changed while the page was not on the screen. */
    isOutdated: false,
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
      for (const spacer of ['#above', '#below']) {
        this.createIntersectionObserver({})
          .relativeTo('#list', { top: EDGE_PX, right: 0, bottom: EDGE_PX, left: 0 })
          .observe(spacer, () => {
            arrange(this);
          });
      }
      this.toEnd();
      // A component that comes onto a page which is there already hears of no `show`.
      if (this.data.isShown === null) this.enter();
    },

    detached() {
      this.data.isShown = false;
      this.data.isAlive = false;
      const { timer, againTimer, jumpTimer, arrangeTimer } = this.data;
      for (const each of [timer, againTimer, jumpTimer, arrangeTimer]) clearTimeout(each);
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
      const key = this.key();
      if (key !== null) stopVoicesOf(key);
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

    /** The chats; replaced when it follows a client. */
    pages() {
      return NO_CHATS;
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
        if (this.data.isShown) this.draw(current, key);
        else this.data.isOutdated = true;
      });
      current.open(key);
      this.leave = () => {
        unsubscribe();
        sleep();
        release(current, key);
        stopVoicesOf(key);
        current.close(key);
      };
      const list = createList();
      this.pages = () => list;
      this.data.anchor = null;
      this.setData({
        me: face(current.me),
        peer: STATE.peer,
        isLoading: false,
        draftOf: String(key),
        start: beginDraft(this),
        isGroup: typeof key === 'string',
        hasLoadedOlder: false,
        end: OPENED,
      });
      this.draw(current, key);
      void meet(this, current, key);
      if (this.data.isShown) this.enter();
    },

    /** The page comes onto the screen. */
    enter() {
      const current = client();
      const key = this.key();
      this.data.isShown = true;
      if (!current || key === null) return;
      if (this.data.isOutdated) {
        this.data.isOutdated = false;
        this.setData({ me: face(current.me) });
        rename(this, current, key);
        takeDraft(this);
        this.draw(current, key);
      }
      this.setTitle();
      current.watch(typeof key === 'number' ? [key] : []);
      this.markRead();
    },

    setTitle() {
      if (this.data.isShown) this.triggerEvent('title', { title: this.data.peer.name });
    },

    follow(current: ImClient, key: ConversationKey, changes: Changes) {
      const chats = changes.chats.get(key);
      if (chats) rememberPeer(this, current, key);
      if (this.data.isShown === false) {
        this.data.isOutdated = true;
        return;
      }
      if (changes.me) this.setData({ me: face(current.me) });
      if (changes.conversations) {
        rename(this, current, key);
        takeDraft(this);
        // The service may count what is drawn already.
        if (current.conversation(key)?.unread) this.markRead();
      }
      const isThere = typeof key === 'number' && changes.presence.includes(key);
      if (changes.typing.includes(key) || isThere || changes.connection) drawPeer(this, current, key);
      if (!chats) return;
      this.drawChats(current, key, chats.loaded);
      this.markRead();
    },

    /** Draws all anew, as it is now. */
    draw(current: ImClient, key: ConversationKey) {
      this.pages().forget();
      this.drawChats(current, key, true);
      drawPeer(this, current, key);
    },

    drawChats(current: ImClient, key: ConversationKey, isFresh: boolean) {
      const { items, hasMore, loaded } = current.chats(key);
      const list = this.pages();
      const newest = newestOf(list.items());
      const hasOlder = list.take(items);
      const count = items.filter(({ id, mine }) => !mine && (id ?? 0) > newest).length;
      const end = arrived(hasOlder ? readUp(this.data.end) : this.data.end, count);
      if (end.isFollowing) list.showEnd();
      const facts = { hasMore, isLoaded: loaded, isEmpty: items.length === 0, end };
      const drawn = () => {
        this.onLayout();
        if (isFresh && loaded) offerUnread(this);
      };
      // Older ones move what is on the screen, so it is measured first.
      if (hasOlder && !end.isFollowing) {
        this.setData(facts, drawn);
        this.data.isDrawDue = true;
      } else drawRows(this, facts, drawn);
      // What is beyond a full window moves no spacer, so that no observer tells of it.
      if (hasOlder || !list.isAtEnd()) arrange(this);
      drawAgain(this);
    },

    // ---- The list

    /** Scrolls to the newest chat. */
    toEnd(end?: End) {
      const settling = { end: scrolled(end ?? this.data.end, Date.now()) };
      if (this.pages().isAtEnd()) {
        this.setData({ ...position(this, BOTTOM), ...settling });
        return;
      }
      this.pages().showEnd();
      this.data.anchor = null;
      drawRows(this, settling, () => {
        this.setData(position(this, BOTTOM), () => {
          arrange(this);
        });
      });
    },

    see(isSeen: boolean) {
      this.data.isEndSeen = isSeen;
      // Leaving the page is no scrolling; but the end may come onto a page that somebody is just leaving.
      if (!isSeen && this.data.isShown === false) return;
      const isVisible = isSeen && this.pages().isAtEnd();
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
