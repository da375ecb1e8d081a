// The shop's own sign-in, as it was before there was a chat. `next` in the URL is the page to open then.

import { signIn } from '../../shop';

Page({
  data: { account: '', password: '', next: '' },
  isBusy: false,

  onLoad({ next = '' }: Record<string, string | undefined>) {
    this.data.next = next;
  },

  onAccount({ detail }: WechatMiniprogram.Input) {
    this.data.account = detail.value;
  },

  onPassword({ detail }: WechatMiniprogram.Input) {
    this.data.password = detail.value;
  },

  async onSignIn() {
    if (this.isBusy) return;
    this.isBusy = true;
    try {
      const { account, password, next } = this.data;
      const isIn = await signIn(account.trim(), password);
      if (!isIn) void wx.showToast({ title: '账号或密码不对', icon: 'none' });
      else if (next) void wx.redirectTo({ url: next });
      else void wx.reLaunch({ url: '/pages/home/home' });
    } catch {
      void wx.showToast({ title: '网络不太好，请稍后再试', icon: 'none' });
    }
    this.isBusy = false;
  },
});
