// The shop window. From here people go to the chat.

import { account, signOut } from '../../shop';

const FLOWERS = [
  { id: 'rose', picture: '🌹', name: '朱丽叶玫瑰', about: '11 枝，配尤加利叶', price: 168 },
  { id: 'tulip', picture: '🌷', name: '郁金香', about: '20 枝，今早到店', price: 128 },
  { id: 'sunflower', picture: '🌻', name: '向日葵', about: '6 枝，耐放十天', price: 98 },
];

Page({
  data: { flowers: FLOWERS, name: '', isFlorist: false },

  onShow() {
    const { name = '', isFlorist = false } = account() ?? {};
    this.setData({ name, isFlorist });
  },

  onAsk() {
    this.go('/chat/talk/talk');
  },

  onMessages() {
    this.go('/chat/list/list');
  },

  /** Opens a page of the chat, after the sign-in if nobody is signed in. */
  go(url: string) {
    void wx.navigateTo({ url: account() ? url : `/pages/account/account?next=${url}` });
  },

  onSignOut() {
    signOut();
    void this.onShow();
  },
});
