// Use case: something is done to chats, by the menu of a bubble or to several at once.

import { tell } from '../../ask';
import type { ChatItem } from '../../core/index';
import { texts } from '../../texts/index';
import type { Action } from '../bubble-menu/action';
import type { Box } from '../bubble-menu/place';
import { actionsOf } from './actions';
import { cover, itemOf, open, type Chat } from './chat';
import { forwardable } from './forward';
import { remove, run } from './menu';
import { EDIT_MS, wordsOf } from './recall';
import { askForward } from './sheets';
import { quote } from './writing';

/** Maximum chats that are chosen at once, as in WeChat. */
const MOST_PICKED = 100;

type Tapped = WechatMiniprogram.TouchEvent;

function keyOf({ currentTarget }: Tapped): string {
  return (currentTarget.dataset as { key: string }).key;
}

/** Opens the menu at a bubble. */
export function openMenu(chat: Chat, key: string): void {
  const opened = open(chat);
  const item = itemOf(chat, key);
  if (!opened || !item || chat.data.over !== '') return;
  const role = opened.client.conversation(opened.key)?.role ?? null;
  const actions = actionsOf(item, role, Date.now());
  if (actions.length === 0) return;
  const query = chat.createSelectorQuery();
  query.select(`#${key} .bubble`).boundingClientRect();
  query.exec(([box]: (Box | null)[]) => {
    if (!box) return;
    chat.setData({ over: 'menu', target: key });
    chat.menu().open(actions, box);
  });
}

/** Draws which recalled chats can be written again, and looks again when that ends. */
export function drawAgain(chat: Chat): void {
  const opened = open(chat);
  if (!opened) return;
  const me = opened.client.me.id;
  const can = ({ recalled, mine, id }: ChatItem) => recalled && mine && wordsOf(me, id, Date.now()) !== null;
  const items = opened.client.chats(opened.key).items.filter(can);
  clearTimeout(chat.data.againTimer);
  const { again } = chat.data;
  const isDrawn = items.length === Object.keys(again).length && items.every(({ key }) => again[key]);
  if (!isDrawn) chat.setData({ again: Object.fromEntries(items.map(({ key }) => [key, true])) });
  if (items.length > 0) chat.data.againTimer = setTimeout(drawAgain, EDIT_MS, chat);
}

/** The chosen chats, the oldest first. */
function pickedItems(chat: Chat): readonly ChatItem[] {
  const opened = open(chat);
  if (!opened) return [];
  return opened.client.chats(opened.key).items.filter(({ key }) => chat.data.picked[key]);
}

/** Methods of the component. */
export const acting = {
  onBubble(this: Chat, event: Tapped) {
    openMenu(this, keyOf(event));
  },

  onFailed(this: Chat, event: Tapped) {
    openMenu(this, keyOf(event));
  },

  onMenuClosed(this: Chat) {
    cover(this, '');
  },

  onAction(this: Chat, { detail }: WechatMiniprogram.CustomEvent<{ action: Action }>) {
    const opened = open(this);
    const item = itemOf(this, this.data.target);
    if (!opened || !item) {
      cover(this, '');
      return;
    }
    run(detail.action, item, {
      client: opened.client,
      conversation: opened.key,
      quote: (quoted) => {
        quote(this, quoted);
      },
      forward: (items) => {
        askForward(this, items);
      },
      pick: ({ key }) => {
        this.composer().rest();
        this.setData({ over: 'pick', picked: { [key]: true }, pickedCount: 1 });
      },
      recalled: () => {
        drawAgain(this);
      },
    });
    // A choice may have put something else in place of the menu.
    if (this.data.over === 'menu') cover(this, '');
  },

  /** The user went back, or what was over the chat is gone. */
  onBack(this: Chat) {
    if (this.data.over !== '') cover(this, '');
  },

  onAgain(this: Chat, event: Tapped) {
    const me = open(this)?.client.me.id;
    const words = me === undefined ? null : wordsOf(me, itemOf(this, keyOf(event))?.id ?? null, Date.now());
    if (words === null) {
      drawAgain(this);
      return;
    }
    const composer = this.composer();
    composer.insert(words);
    composer.focus();
  },

  // ---- Several chats

  onPick(this: Chat, event: Tapped) {
    const key = keyOf(event);
    const picked = Object.fromEntries(Object.entries(this.data.picked).filter(([each]) => each !== key));
    if (!this.data.picked[key]) {
      if (this.data.pickedCount >= MOST_PICKED) {
        tell(texts().menu.pickedMost(MOST_PICKED));
        return;
      }
      picked[key] = true;
    }
    this.setData({ picked, pickedCount: Object.keys(picked).length });
  },

  onPickForward(this: Chat) {
    const items = pickedItems(this);
    if (items.length === 0) return;
    if (items.some((item) => !forwardable(item))) tell(texts().menu.notForwarded);
    else askForward(this, items);
  },

  async onPickRemove(this: Chat) {
    const opened = open(this);
    const items = pickedItems(this);
    if (!opened || items.length === 0) return;
    if (await remove(opened.client, opened.key, items)) cover(this, '');
  },
};
