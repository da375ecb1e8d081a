// The list of conversations, with their unread total at the tab.

import { enter } from '../../account';
import type { ConversationKey } from '../../imkit/core/index';
import { client } from '../../imkit/current';
import { texts } from '../../imkit/texts/index';
import { showTotal } from '../../total';
import { go } from '../go';

const say = texts();

Page({
  data: { isSignedIn: false },

  onShow() {
    if (client()) this.setData({ isSignedIn: true });
    else {
      // Blank until then: whoever is new sees no list that goes away again.
      void enter().then((isSignedIn) => {
        if (isSignedIn) this.setData({ isSignedIn });
        else void wx.reLaunch({ url: '/pages/sign-in/sign-in' });
      });
    }
    void wx.setNavigationBarTitle({ title: say.conversations.title });
    say.tabs.forEach((text, index) => {
      void wx.setTabBarItem({ index, text });
    });
  },

  onTotal({ detail }: WechatMiniprogram.CustomEvent<{ total: number }>) {
    showTotal(detail.total);
  },

  onOpen({ detail }: WechatMiniprogram.CustomEvent<{ conversation: ConversationKey }>) {
    go(`/pages/chat/chat?peer=${detail.conversation}`);
  },

  onStart() {
    go('/pages/find/find');
  },
});
