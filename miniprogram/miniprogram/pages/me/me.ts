// The user's profile, and signing out.

import { signOut } from '../../account';
import { client } from '../../imkit/current';
import { texts } from '../../imkit/texts/index';
import { showTotal } from '../../total';

const say = texts();

Page({
  data: { say: say.me, blocks: say.person.blocks },

  onShow() {
    const current = client();
    if (!current) {
      void wx.reLaunch({ url: '/pages/sign-in/sign-in' });
      return;
    }
    void wx.setNavigationBarTitle({ title: say.me.title });
    // It may have changed on a page without the bar.
    showTotal(current.unreadTotal);
  },

  onBlocks() {
    void wx.navigateTo({ url: '/pages/blocked/blocked' });
  },

  async onSignOut() {
    const { confirm } = await wx.showModal({
      title: say.me.signOut,
      content: say.me.signOutQuestion,
      confirmText: say.ok,
      cancelText: say.cancel,
    });
    if (!confirm) return;
    await signOut();
    void wx.reLaunch({ url: '/pages/sign-in/sign-in' });
  },
});
