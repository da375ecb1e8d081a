// Use case: pictures, voices and files are sent, and cards are opened.

import { client } from '../../current';
import type { ConversationKey, Draft } from '../../core/index';
import { sendDraft } from '../../media/outgoing';
import { sayRefusal } from '../../texts/index';

/** The component, as this use case sees it. */
interface Chat {
  readonly data: { readonly opensCards: boolean };
  key(): ConversationKey | null;
  onNewest(): void;
  triggerEvent(name: string, detail: object): void;
}

/** Methods of the component. */
export const sending = {
  onDraft(this: Chat, { detail }: WechatMiniprogram.CustomEvent<{ draft: Draft }>) {
    const current = client();
    const key = this.key();
    if (!current || key === null) return;
    const result = sendDraft(current, key, detail.draft);
    if (result.ok) this.onNewest();
    else void wx.showToast({ title: sayRefusal(result.code), icon: 'none' });
  },

  /** The host hears of it, too: it may have to do more than open a page. */
  onCard(this: Chat, { detail }: WechatMiniprogram.CustomEvent<{ key: string }>) {
    const key = this.key();
    const items = key === null ? [] : (client()?.chats(key).items ?? []);
    const body = items.find((item) => item.key === detail.key)?.body;
    if (!body) return;
    this.triggerEvent('card', { title: body.title, path: body.path, url: body.url, data: body.data });
    if (!this.data.opensCards || !body.path) return;
    const url = `/${body.path.replace(/^\//, '')}`;
    const fail = () => {
      // A page of the bar at the bottom, which takes no query.
      wx.switchTab({ url: url.replace(/\?.*/, ''), fail: () => undefined });
    };
    wx.navigateTo({ url, fail });
  },
};
