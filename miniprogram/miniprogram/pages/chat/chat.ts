// A conversation, with one person or a group: `peer` in the page's URL.

import { enter, loginKind } from '../../account';
import { tell } from '../../imkit/ask';
import { toKey } from '../../imkit/core/index';
import { client } from '../../imkit/current';
import { platform } from '../../imkit/platform';
import { texts } from '../../imkit/texts/index';
import { offers } from '../../platform/offers';
import { server } from '../../platform/server';
import { reportGrants, type Grants } from '../../platform/subscriptions';
import { go } from '../go';
import { shareOf } from '../share';

/** Stored once the user was asked for a picture and a name. */
const INTRODUCED = 'introduced';

const say = texts();

Page({
  data: {
    say: say.introduce,
    /** Empty until somebody is signed in. */
    conversation: '',
    title: '',
    templates: [] as readonly string[],
    /** WeChat gives neither name nor picture: they are asked for when somebody is about to see them. */
    asksForProfile: false,
  },

  onLoad(options: Record<string, string | undefined>) {
    const key = toKey(options['peer']);
    if (key === null) {
      void wx.reLaunch({ url: '/pages/conversations/conversations' });
      return;
    }
    // A stranger cannot join a group.
    if (typeof key === 'string') void wx.hideShareMenu({});
    void enter().then((isSignedIn) => {
      if (isSignedIn) this.begin(String(key));
      else void wx.reLaunch({ url: `/pages/sign-in/sign-in?peer=${key}` });
    });
  },

  onShow() {
    const { asksForProfile } = this.data;
    if (asksForProfile && client()?.me.avatarUrl !== null) this.setData({ asksForProfile: false });
  },

  begin(conversation: string) {
    const isNew = loginKind() === 'wechat' && client()?.me.avatarUrl === null;
    this.setData({ conversation, asksForProfile: isNew && platform.storage.get(INTRODUCED) === undefined });
    if (!wx.canIUse('requestSubscribeMessage')) return;
    void offers(server()).then(
      ({ subscribeTemplates }) => {
        if (subscribeTemplates.length > 0) this.setData({ templates: subscribeTemplates });
      },
      () => {
        // Then the page does not offer any messages.
      },
    );
  },

  onTitle({ detail }: WechatMiniprogram.CustomEvent<{ title: string }>) {
    this.data.title = detail.title;
    void wx.setNavigationBarTitle({ title: detail.title });
  },

  onInfo() {
    go(`/pages/info/info?peer=${this.data.conversation}`);
  },

  onPerson({ detail }: WechatMiniprogram.CustomEvent<{ userId: number }>) {
    go(`/pages/person/person?id=${detail.userId}`);
  },

  onGrants({ detail }: WechatMiniprogram.CustomEvent<Grants>) {
    reportGrants(detail).catch(() => {
      tell(say.networkError);
    });
  },

  onIntroduce() {
    this.onIntroduced();
    void wx.switchTab({ url: '/pages/me/me' });
  },

  onIntroduced() {
    platform.storage.set(INTRODUCED, 'true');
    this.setData({ asksForProfile: false });
  },

  onShareAppMessage(): WechatMiniprogram.Page.ICustomShareContent {
    return shareOf(this.data.conversation, this.data.title);
  },
});
