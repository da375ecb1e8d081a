// The profile of a person, by `id` in the URL.

import { toUserId } from '../../imkit/core/index';
import { client } from '../../imkit/current';
import { texts } from '../../imkit/texts/index';
import { shareOf } from '../share';

Page({
  data: { userId: '', name: '' },

  onLoad(options: Record<string, string | undefined>) {
    const id = toUserId(options['id']);
    if (!client() || id === null) void wx.reLaunch({ url: '/pages/conversations/conversations' });
    else this.setData({ userId: String(id) });
  },

  onShow() {
    void wx.setNavigationBarTitle({ title: texts().person.title });
  },

  onName({ detail }: WechatMiniprogram.CustomEvent<{ title: string }>) {
    this.data.name = detail.title;
  },

  onWrite({ detail }: WechatMiniprogram.CustomEvent<{ userId: number }>) {
    const url = `/pages/chat/chat?peer=${detail.userId}`;
    const pages = getCurrentPages();
    const at = pages.findIndex(({ route, options }) => route === 'pages/chat/chat' && options['peer'] === String(detail.userId));
    // The chat from which the profile was opened is there already, maybe below its info page.
    if (at >= 0) void wx.navigateBack({ delta: pages.length - 1 - at });
    else void wx.redirectTo({ url });
  },

  onShareAppMessage(): WechatMiniprogram.Page.ICustomShareContent {
    return shareOf(this.data.userId, this.data.name);
  },
});
