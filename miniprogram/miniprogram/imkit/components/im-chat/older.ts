// Use case: older chats are loaded above, and what is on the screen stays in place.

import { client } from '../../current';
import type { ListChange } from '../../core/index';
import { sayError } from '../../texts/index';
import type { Box } from '../bubble-menu/place';
import type { Chat } from './chat';

/** Whether these chats came above all others. */
export function isAbove({ index, removed, inserted }: ListChange): boolean {
  return index === 0 && removed === 0 && inserted > 0;
}

interface Boxes {
  readonly list: Box;
  /** What is above the first row. */
  readonly top: Box;
  readonly row: Box;
}

function measure(chat: Chat, row: string, then: (boxes: Boxes) => void): void {
  if (row === '') return;
  const query = chat.createSelectorQuery();
  for (const each of ['#list', '#top', `#${row}`]) query.select(each).boundingClientRect();
  query.exec(([list, top, found]: (Box | null)[]) => {
    if (list && top && found) then({ list, top, row: found });
  });
}

/**
 * Keeps the row that was the first in its place, once others that were asked for are drawn above it. The list does so
 * by itself, except at its very top: there it would show the oldest of the new ones.
 */
export function anchor(chat: Chat): void {
  const { anchored } = chat.data;
  measure(chat, anchored, ({ list, top, row }) => {
    // The list may have jumped elsewhere meanwhile.
    if (chat.data.anchored !== anchored) return;
    chat.data.anchored = '';
    // It may have lost the time above it.
    const height = chat.data.anchoredHeight || row.bottom - row.top;
    const lowest = list.top + (top.bottom - top.top) + height;
    if (row.bottom <= lowest + 1) return;
    const scrollTop = row.bottom - top.bottom - height;
    // The value has to change, or the list does not scroll.
    chat.setData({ scrollTop: scrollTop === chat.data.scrollTop ? scrollTop + 1 : scrollTop });
  });
}

/** Methods of the component. */
export const older = {
  async onOlder(this: Chat) {
    const current = client();
    const key = this.key();
    if (!current || key === null || this.data.isLoading || !this.data.hasMore) return;
    this.setData({ isLoading: true });
    Object.assign(this.data, { anchored: this.data.rows[0]?.key ?? '', anchoredHeight: 0 });
    measure(this, this.data.anchored, ({ row }) => {
      this.data.anchoredHeight = row.bottom - row.top;
    });
    try {
      await current.loadOlder(key);
      this.setData({ isLoading: false, hasLoadedOlder: true });
    } catch (error) {
      this.data.anchored = '';
      this.setData({ isLoading: false });
      void wx.showToast({ title: sayError(error), icon: 'none' });
    }
  },
};
