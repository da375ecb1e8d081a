// The people whom the user has blocked.

import { client } from '../../imkit/current';
import { texts } from '../../imkit/texts/index';
import { go } from '../go';

Page({
  onLoad() {
    if (!client()) void wx.reLaunch({ url: '/pages/conversations/conversations' });
  },

  onShow() {
    void wx.setNavigationBarTitle({ title: texts().person.blocks });
  },

  onPerson({ detail }: WechatMiniprogram.CustomEvent<{ userId: number }>) {
    go(`/pages/person/person?id=${detail.userId}`);
  },
});
