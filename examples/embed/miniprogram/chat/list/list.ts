// The conversations: for the florist those with customers, for a customer the one with the shop.

import type { ConversationKey } from '../imkit/core/index';
import { enter } from '../im';

Page({
  data: { isReady: false },

  onLoad() {
    void enter().then((entry) => {
      if (entry) this.setData({ isReady: true });
    });
  },

  onOpen({ detail }: WechatMiniprogram.CustomEvent<{ conversation: ConversationKey }>) {
    void wx.navigateTo({ url: `/chat/talk/talk?peer=${detail.conversation}` });
  },
});
