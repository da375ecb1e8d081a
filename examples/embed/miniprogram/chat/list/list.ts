// The conversations: for the florist those with customers, for a customer the one with the shop.

import type { ConversationKey } from '../imkit/core/index';
import { enter, retry } from '../im';

Page({
  data: { isReady: false, hasFailed: false },

  onLoad() {
    const show = (hasFailed: boolean) => {
      this.setData({ hasFailed });
    };
    void enter(show).then((entry) => {
      if (entry) this.setData({ isReady: true });
    });
  },

  onRetry() {
    retry();
  },

  onOpen({ detail }: WechatMiniprogram.CustomEvent<{ conversation: ConversationKey }>) {
    void wx.navigateTo({ url: `/chat/talk/talk?peer=${detail.conversation}` });
  },
});
