// Signs in: with WeChat, or with a name if the service offers demo login.

import { signIn, type Login } from '../../account';
import { client } from '../../imkit/current';
import { toKey } from '../../imkit/core/index';
import { canChooseServer, chooseServer, server } from '../../platform/server';
import { offers } from '../../platform/offers';
import { sayError, texts } from '../../imkit/texts/index';

const say = texts();

Page({
  data: {
    say: say.signIn,
    step: 'loading',
    hasWechat: false,
    hasDemo: false,
    isBusy: false,
    /** The name in the page's URL. What is typed is in `name`: drawing it again would lose keys. */
    given: '',
    hasName: false,
    canChooseServer: canChooseServer(),
    server: server(),
  },

  /** As it was typed last, without spaces around it. */
  name: '',

  /** Whose chat to open next, by `peer` in the page's URL. */
  peer: toKey(''),

  /** `name` in the page's URL signs in with it at once, if nobody is signed in. */
  async onLoad(options: Record<string, string | undefined>) {
    this.peer = toKey(options['peer']);
    const name = decodeURIComponent(options['name'] ?? '');
    if (client()) {
      this.enter();
      return;
    }
    this.setData({ given: name });
    this.take(name);
    await this.ask();
    if (name && this.data.hasDemo) await this.signIn({ kind: 'demo', name });
  },

  onShow() {
    void wx.setNavigationBarTitle({ title: say.signIn.title });
    // There is no page to go back to.
    void wx.hideHomeButton();
  },

  /** Asks the service which logins it offers. */
  async ask() {
    this.setData({ step: 'loading' });
    try {
      const { demoLogin, wechatLogin } = await offers(server());
      this.setData({
        step: 'choose',
        hasDemo: demoLogin,
        hasWechat: wechatLogin && wx.canIUse('login'),
      });
    } catch {
      this.setData({ step: 'unreachable' });
    }
  },

  onRetry() {
    void this.ask();
  },

  onInput({ detail }: WechatMiniprogram.Input) {
    this.take(detail.value);
  },

  take(typed: string) {
    this.name = typed.trim();
    const hasName = this.name !== '';
    if (hasName !== this.data.hasName) this.setData({ hasName });
  },

  onDemo() {
    const { name } = this;
    if (name) void this.signIn({ kind: 'demo', name });
  },

  onWechat() {
    void this.signIn({ kind: 'wechat' });
  },

  async signIn(login: Login) {
    if (this.data.isBusy) return;
    this.setData({ isBusy: true });
    try {
      await signIn(login);
      this.enter();
    } catch (error) {
      const { failed, blocked } = say.signIn;
      const title = sayError(error, {
        wechat_code_invalid: failed,
        wechat_user_blocked: blocked,
        invalid_request: say.me.badName,
        invalid_name: say.me.unfitName,
      });
      void wx.showToast({ title, icon: 'none' });
    }
    this.setData({ isBusy: false });
  },

  enter() {
    const { peer } = this;
    wx.reLaunch({
      url: '/pages/conversations/conversations',
      success: () => {
        if (peer !== null) void wx.navigateTo({ url: `/pages/chat/chat?peer=${peer}` });
      },
    });
  },

  async onServer() {
    const { confirm, content } = await wx.showModal({
      title: say.signIn.server,
      content: server(),
      editable: true,
      placeholderText: say.signIn.serverPrompt,
      confirmText: say.ok,
      cancelText: say.cancel,
    });
    if (!confirm) return;
    if (!chooseServer(content)) {
      void wx.showToast({ title: say.signIn.badServer, icon: 'none' });
      return;
    }
    this.setData({ server: server() });
    await this.ask();
  },
});
