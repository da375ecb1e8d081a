// The list of conversations, with their unread total at the tab.

import type { ConversationKey } from '../../imkit/core/index';
import { client } from '../../imkit/current';
import { badge } from '../../imkit/lists/rows';
import { texts } from '../../imkit/texts/index';

const say = texts();

Page({
  onShow() {
    if (!client()) {
      void wx.reLaunch({ url: '/pages/sign-in/sign-in' });
      return;
    }
    void wx.setNavigationBarTitle({ title: say.conversations.title });
    say.tabs.forEach((text, index) => {
      void wx.setTabBarItem({ index, text });
    });
  },

  onTotal({ detail }: WechatMiniprogram.CustomEvent<{ total: number }>) {
    const text = badge(detail.total);
    if (text) void wx.setTabBarBadge({ index: 0, text });
    else void wx.removeTabBarBadge({ index: 0 });
  },

  onOpen({ detail }: WechatMiniprogram.CustomEvent<{ conversation: ConversationKey }>) {
    void wx.navigateTo({ url: `/pages/chat/chat?peer=${detail.conversation}` });
  },

  onStart() {
    void wx.navigateTo({ url: '/pages/find/find' });
  },
});
