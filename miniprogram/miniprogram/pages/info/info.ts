// The info page of a conversation, by `peer` in the URL.

import { toKey } from '../../imkit/core/index';
import { client } from '../../imkit/current';
import { texts } from '../../imkit/texts/index';
import { go } from '../go';

Page({
  data: { conversation: '', isGroup: false, title: texts().info.title },

  onLoad(options: Record<string, string | undefined>) {
    const key = toKey(options['peer']);
    if (!client() || key === null) void wx.reLaunch({ url: '/pages/conversations/conversations' });
    else this.setData({ conversation: String(key), isGroup: typeof key === 'string' });
  },

  onShow() {
    void wx.setNavigationBarTitle({ title: this.data.title });
  },

  onTitle({ detail }: WechatMiniprogram.CustomEvent<{ title: string }>) {
    this.data.title = detail.title;
    void wx.setNavigationBarTitle({ title: detail.title });
  },

  onPerson({ detail }: WechatMiniprogram.CustomEvent<{ userId: number }>) {
    go(`/pages/person/person?id=${detail.userId}`);
  },

  onAdd() {
    const { conversation, isGroup } = this.data;
    go(`/pages/pick/pick?${isGroup ? 'group' : 'with'}=${conversation}`);
  },

  onLeft() {
    void wx.switchTab({ url: '/pages/conversations/conversations' });
  },
});
