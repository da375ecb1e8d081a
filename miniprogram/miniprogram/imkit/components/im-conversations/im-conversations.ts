// The list of conversations, newest first. Emits `open` with the conversation that was tapped, `start` for a new one,
// and `total` with the number of unread chats when its page is shown and when that number changes.

import { client } from '../../current';
import type { Changes, ConversationKey, ImClient } from '../../core/index';
import { choose } from '../../ask';
import { eachMidnight } from '../../lists/midnight';
import { actionsOf, actionsOfUnsent, swiped, type Action } from '../../lists/actions';
import { ordered } from '../../lists/order';
import { setInBatches } from '../../lists/batches';
import { replace } from '../../lists/patch';
import { swipeOf, type Point } from './swipe';
import { conversationRow, type ConversationRow } from '../../lists/rows';
import { openUnlisted } from '../../lists/unlisted';
import { sayError, texts } from '../../texts/index';

/** The service sends the presence of at most this many people. */
const MAX_WATCHED = 100;

const say = texts();

/** The row that is swiped to the left, and what it uncovers: none. */
const CLOSED: { swiped: ConversationKey | ''; actions: Pick<Action, 'id' | 'short'>[] } = { swiped: '', actions: [] };

Component({
  properties: {
    /** Whether its first row is for a new conversation: the host begins one by the event `start`. */
    offersStart: { type: Boolean, value: true },
  },

  data: {
    say: say.conversations,
    rows: [] as ConversationRow[],
    isEmpty: false,
    hasMore: false,
    /** Whether oneself is online: otherwise nobody knows who else is. */
    isOnline: false,
    isRefreshing: false,
    ...CLOSED,
    /** Where the finger came down; null once it has swiped. */
    start: null as Point | null,
    /** The touch was a swipe: a click that ends it is no tap. */
    hasSwiped: false,
    /** Whether the page is on the screen: only then it watches people. Null before that is known. */
    isShown: null as boolean | null,
    /** The total that was emitted last; null if none was since the page is shown. */
    total: null as number | null,
  },

  lifetimes: {
    attached() {
      const current = client();
      if (!current) return;
      const unlisted = openUnlisted(current);
      const unsubscribe = current.subscribe((changes) => {
        this.follow(current, changes);
      });
      // The page draws anew when it is shown.
      const sleep = eachMidnight(() => {
        if (this.data.isShown) this.draw(current);
      });
      this.unlisted = unlisted.rows;
      this.leave = () => {
        unsubscribe();
        sleep();
        unlisted.close();
      };
      this.draw(current);
    },

    ready() {
      // A component that comes onto a page which is there already hears of no `show`.
      if (this.data.isShown === null) this.enter();
    },

    detached() {
      this.data.isShown = false;
      this.leave();
    },
  },

  pageLifetimes: {
    show() {
      this.enter();
    },

    hide() {
      this.data.isShown = false;
    },
  },

  methods: {
    leave() {
      // Replaced when it follows a client.
    },

    /** The page comes onto the screen. */
    enter() {
      const current = client();
      this.data.isShown = true;
      this.data.total = null;
      if (!current) return;
      // The day may have changed since the times were drawn.
      this.draw(current);
      this.watch(current);
    },

    /** Conversations that the client does not list; replaced when it follows a client. */
    unlisted(): ReturnType<ReturnType<typeof openUnlisted>['rows']> {
      return [];
    },

    follow(current: ImClient, changes: Changes) {
      // Nobody sees it: it is drawn when the page is shown.
      if (this.data.isShown === false) return;
      if (changes.conversations) this.watch(current);
      if (changes.conversations || changes.chats.size > 0 || changes.typing.length > 0) this.draw(current);
      // The list may be loaded, and the total change, without any other change.
      this.emitTotal(current);
      const rest = this.rest(current, this.data.rows.length);
      const { isEmpty, hasMore, isOnline } = this.data;
      if (rest.isEmpty !== isEmpty || rest.hasMore !== hasMore || rest.isOnline !== isOnline) this.setData(rest);
    },

    draw(current: ImClient) {
      const rows = ordered(current.conversations(), this.unlisted()).map((each): ConversationRow => {
        return conversationRow(each, current.isTyping(each.key), Date.now(), say);
      });
      setInBatches(this, replace('rows', this.data.rows, rows), this.rest(current, rows.length));
      this.emitTotal(current);
    },

    rest(current: ImClient, count: number) {
      const isEmpty = current.conversationsLoaded && count === 0;
      return { isEmpty, hasMore: current.hasMoreConversations, isOnline: current.connection.phase === 'online' };
    },

    emitTotal({ unreadTotal: total }: ImClient) {
      if (!this.data.isShown || total === this.data.total) return;
      this.data.total = total;
      this.triggerEvent('total', { total });
    },

    watch(current: ImClient) {
      if (!this.data.isShown) return;
      current.watch(
        current
          .conversations()
          .slice(0, MAX_WATCHED)
          .flatMap(({ peer }) => (peer ? [peer.id] : [])),
      );
    },

    onOpen({ currentTarget }: WechatMiniprogram.TouchEvent) {
      const { key } = currentTarget.dataset as { key: ConversationKey };
      if (this.data.hasSwiped) return;
      // A tap on a swiped row puts it back.
      if (this.data.swiped === key) this.close();
      else this.triggerEvent('open', { conversation: key });
    },

    // ---- What can be done to a conversation

    actionsOf(key: ConversationKey): readonly Action[] {
      const current = client();
      if (!current) return [];
      const conversation = current.conversation(key);
      return conversation ? actionsOf(current, conversation) : actionsOfUnsent(current, key);
    },

    async onMenu({ currentTarget }: WechatMiniprogram.TouchEvent) {
      const { key } = currentTarget.dataset as { key: ConversationKey };
      this.close();
      const actions = this.actionsOf(key);
      const chosen = await choose(actions.map(({ text }) => text));
      if (chosen !== null) void actions[chosen]?.run();
    },

    onTouch({ currentTarget, touches }: WechatMiniprogram.TouchEvent) {
      const { key } = currentTarget.dataset as { key: ConversationKey };
      const [touch] = touches;
      this.data.hasSwiped = false;
      this.data.start = touch ? { x: touch.clientX, y: touch.clientY } : null;
      if (this.data.swiped !== key) this.close();
    },

    onMove({ currentTarget, touches }: WechatMiniprogram.TouchEvent) {
      const { key } = currentTarget.dataset as { key: ConversationKey };
      const [touch] = touches;
      const direction = touch && swipeOf(this.data.start, { x: touch.clientX, y: touch.clientY });
      if (!direction) return;
      // One swipe a touch.
      this.data.start = null;
      this.data.hasSwiped = true;
      if (direction === 'right') this.close();
      else {
        const actions = swiped(this.actionsOf(key)).map(({ id, short }) => ({ id, short }));
        this.setData({ swiped: key, actions });
      }
    },

    close() {
      if (this.data.swiped !== '') this.setData({ swiped: '' });
    },

    onAction({ currentTarget }: WechatMiniprogram.TouchEvent) {
      const { id } = currentTarget.dataset as { id: string };
      const { swiped: key } = this.data;
      if (key === '') return;
      this.close();
      void this.actionsOf(key).find((action) => action.id === id)?.run();
    },

    onStart() {
      this.triggerEvent('start');
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
  },
});
