// The user's profile, and signing out.

import { signOut } from '../../account';
import { client } from '../../imkit/current';
import { texts } from '../../imkit/texts/index';
import { showTotal } from '../../total';
import { go } from '../go';

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
    go('/pages/blocked/blocked');
  },

  async onSignOut() {
    const { confirm } = await wx.showModal({
      title: say.me.signOut,
      content: say.me.signOutQuestion,
      confirmText: say.ok,
      cancelText: say.cancel,
    });
    if (!confirm) return;
    // What is here ends at once; the service may answer late.
    void signOut();
    void wx.reLaunch({ url: '/pages/sign-in/sign-in' });
  },
});
