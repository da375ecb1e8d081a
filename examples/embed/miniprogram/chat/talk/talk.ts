// A conversation: with `peer` in the URL, or with the florist.

import { toKey } from '../imkit/core/index';
import { enter } from '../im';

Page({
  data: { conversation: '' },

  onLoad({ peer }: Record<string, string | undefined>) {
    void enter().then((entry) => {
      if (entry) this.setData({ conversation: String(toKey(peer) ?? entry.florist) });
    });
  },

  onTitle({ detail }: WechatMiniprogram.CustomEvent<{ title: string }>) {
    void wx.setNavigationBarTitle(detail);
  },

  onInfo() {
    void wx.navigateTo({ url: `/chat/about/about?peer=${this.data.conversation}` });
  },
});
