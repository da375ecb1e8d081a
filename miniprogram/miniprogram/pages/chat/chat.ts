// A conversation, with one person or a group: `peer` in the page's URL.

import { toKey } from '../../imkit/core/index';
import { client } from '../../imkit/current';

Page({
  data: { conversation: '' },

  onLoad(options: Record<string, string | undefined>) {
    const key = toKey(options['peer']);
    if (key !== null) this.setData({ conversation: String(key) });
  },

  onShow() {
    const { conversation } = this.data;
    if (client() && conversation) return;
    const query = conversation ? `?peer=${conversation}` : '';
    void wx.reLaunch({ url: `/pages/sign-in/sign-in${query}` });
  },

  onTitle({ detail }: WechatMiniprogram.CustomEvent<{ title: string }>) {
    void wx.setNavigationBarTitle({ title: detail.title });
  },
});
