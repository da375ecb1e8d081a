// Use case: older chats are loaded above. `window.ts` keeps what is on the screen in its place.

import { client } from '../../current';
import { sayError } from '../../texts/index';
import type { Chat } from './chat';
import { arrange, EDGE_PX } from './window';

/** Methods of the component. */
export const older = {
  /** So many pixels are drawn above the screen. */
  onEdge(this: Chat, pixels: number) {
    if (pixels < EDGE_PX && this.data.isLoaded) void this.onOlder();
  },

  async onOlder(this: Chat) {
    const current = client();
    const key = this.key();
    if (!this.pages().isAtStart()) {
      arrange(this);
      return;
    }
    if (!current || key === null || this.data.isLoading || !this.data.hasMore) return;
    this.setData({ isLoading: true });
    try {
      await current.loadOlder(key);
      this.setData({ isLoading: false, hasLoadedOlder: true });
    } catch (error) {
      this.setData({ isLoading: false });
      void wx.showToast({ title: sayError(error), icon: 'none' });
    }
  },
};
