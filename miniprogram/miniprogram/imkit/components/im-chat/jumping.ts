// Use case: the list jumps to a chat further up: the first unread one, or one that is quoted.

import { attempt, tell } from '../../ask';
import { badge } from '../../lists/rows';
import { texts } from '../../texts/index';
import type { Box } from '../bubble-menu/place';
import { itemOf, open, type Chat } from './chat';
import { asked } from './end';
import { reach } from './quote';
import { isUnread, reachUnread, unreadOf } from './unread';
import { arrange, showRow } from './window';

/** Pages to load at most to find a quoted chat. */
const MOST_PAGES = 6;

/** Milliseconds for which the chat is marked that was jumped to. */
const MARK_MS = 1500;

/** Remembers what is unread. Call it before anything is marked as read. */
export function beginUnread(chat: Chat): void {
  const opened = open(chat);
  chat.data.unread = opened && unreadOf(opened.client, opened.key);
  if (chat.data.newAbove || chat.data.firstNew) chat.setData({ newAbove: '', firstNew: '' });
}

/** Offers to jump to the first unread chat if it is above the screen. Call it once the newest chats are drawn. */
export function offerUnread(chat: Chat): void {
  const opened = open(chat);
  const { unread } = chat.data;
  if (!opened || !unread) return;
  const { items, hasMore } = opened.client.chats(opened.key);
  const first = items.find((item) => isUnread(item, unread));
  const isAbove = hasMore && (items[0]?.id ?? 0) > unread.readUpTo && first === items[0];
  const offer = () => {
    chat.setData({ newAbove: badge(unread.count) });
  };
  const keep = (isOffered: boolean) => {
    if (isOffered) offer();
    else {
      chat.data.unread = null;
      if (chat.data.newAbove) chat.setData({ newAbove: '' });
    }
  };
  if (isAbove || !first) {
    keep(isAbove);
    return;
  }
  const query = chat.createSelectorQuery();
  query.select('#list').boundingClientRect();
  query.select(`#${first.key}`).boundingClientRect();
  query.exec(([list, row]: (Box | null)[]) => {
    // What is not drawn is far above.
    keep(!!list && (!row || row.top < list.top));
  });
}

/** Shows the chat with this key at the top of the list. */
function jump(chat: Chat, key: string): void {
  clearTimeout(chat.data.jumpTimer);
  chat.setData({ scrollInto: '', end: { ...chat.data.end, isFollowing: false } });
  showRow(chat, key, () => {
    chat.setData({ scrollInto: key, found: key }, () => {
      arrange(chat);
    });
  });
  chat.data.jumpTimer = setTimeout(() => {
    const { end } = chat.data;
    // From a chat that is near the end, the end stays on the screen.
    chat.setData({ found: '', scrollInto: '', ...(end.isVisible && { end: asked(end) }) });
  }, MARK_MS);
}

type Tapped = WechatMiniprogram.TouchEvent;

/** Methods of the component. */
export const jumping = {
  async onUnread(this: Chat) {
    const opened = open(this);
    const { unread } = this.data;
    this.setData({ newAbove: '' });
    if (!opened || !unread) return;
    this.data.unread = null;
    const reaching = reachUnread(opened.client, opened.key, unread);
    if (!(await attempt(reaching))) {
      if (this.key() !== opened.key) return;
      this.data.unread = unread;
      this.setData({ newAbove: badge(unread.count) });
      return;
    }
    const key = await reaching;
    if (key === null) return;
    this.setData({ firstNew: key }, () => {
      jump(this, key);
    });
  },

  async onQuoted(this: Chat, { currentTarget }: Tapped) {
    const opened = open(this);
    const quoted = itemOf(this, (currentTarget.dataset as { key: string }).key)?.replyTo;
    const { menu } = texts();
    if (!opened || !quoted) return;
    // Absent on the wire unless it was recalled.
    if (quoted.state) {
      tell(menu.quotedGone);
      return;
    }
    const { client, key } = opened;
    const reaching = reach(client, key, MOST_PAGES, ({ id }) => id === quoted.id, (oldest) => oldest <= quoted.id);
    if (!(await attempt(reaching))) return;
    const found = await reaching;
    if (found !== null) {
      jump(this, found);
      return;
    }
    const oldest = client.chats(key).items[0]?.id ?? 0;
    tell(oldest > quoted.id && client.chats(key).hasMore ? menu.quotedFar : menu.quotedGone);
  },
};
