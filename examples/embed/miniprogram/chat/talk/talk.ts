// A conversation: with `peer` in the URL, or with the florist.

import { toKey } from '../imkit/core/index';
import { enter, retry } from '../im';

Page({
  data: { conversation: '', hasFailed: false },

  onLoad({ peer }: Record<string, string | undefined>) {
    const show = (hasFailed: boolean) => {
      this.setData({ hasFailed });
    };
    void enter(show).then((entry) => {
      if (entry) this.setData({ conversation: String(toKey(peer) ?? entry.florist) });
    });
  },

  onRetry() {
    retry();
  },

  onTitle({ detail }: WechatMiniprogram.CustomEvent<{ title: string }>) {
    void wx.setNavigationBarTitle(detail);
  },

  onInfo() {
    void wx.navigateTo({ url: `/chat/about/about?peer=${this.data.conversation}` });
  },
});
