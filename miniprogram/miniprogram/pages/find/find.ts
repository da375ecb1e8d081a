// Finds people by the beginning of their name, or by their id if the service has no directory.

import { client } from '../../imkit/current';
import { ImError, toUserId, type User } from '../../imkit/core/index';
import { offers } from '../../platform/offers';
import { server } from '../../platform/server';
import { sayError, texts } from '../../imkit/texts/index';

/** Milliseconds without a key before the search starts. */
const TYPING_PAUSE_MS = 250;

interface Person {
  id: number;
  name: string;
  avatarUrl: string;
  isMe: boolean;
}

const say = texts();

Page({
  data: { say: say.find, byId: false, people: [] as Person[], isNone: false },

  /** What was typed last: the answer to an earlier search is ignored. */
  typed: '',
  timer: 0,

  async onLoad() {
    try {
      const { directory } = await offers(server());
      this.setData({ byId: !directory });
    } catch {
      // Without an answer no search works; the connection bar says why.
    }
  },

  onShow() {
    void wx.setNavigationBarTitle({ title: say.find.title });
  },

  onUnload() {
    clearTimeout(this.timer);
  },

  onInput({ detail }: WechatMiniprogram.Input) {
    this.typed = detail.value.trim();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.search(this.typed), TYPING_PAUSE_MS);
  },

  onConfirm() {
    clearTimeout(this.timer);
    void this.search(this.typed);
  },

  async search(text: string) {
    const current = client();
    if (!current) return;
    try {
      const found = text === '' ? [] : await this.look(text);
      if (text !== this.typed) return;
      const people = found.map(({ id, name, avatarUrl }) => {
        return { id, name, avatarUrl: avatarUrl ?? '', isMe: id === current.me.id };
      });
      this.setData({ people, isNone: text !== '' && people.length === 0 });
    } catch (error) {
      if (text === this.typed) void wx.showToast({ title: sayError(error), icon: 'none' });
    }
  },

  async look(text: string): Promise<readonly User[]> {
    const current = client();
    if (!current) return [];
    if (!this.data.byId) return current.findUsers(text);
    const id = toUserId(text);
    if (id === null) return [];
    try {
      return [await current.user(id)];
    } catch (error) {
      // Without a directory the service does not show strangers: the first chat will show whether the user exists.
      if (error instanceof ImError && error.status === 404) return [{ id, name: String(id), avatarUrl: null }];
      throw error;
    }
  },

  onOpen({ currentTarget }: WechatMiniprogram.TouchEvent) {
    const { peer } = currentTarget.dataset as { peer: number };
    void wx.redirectTo({ url: `/pages/chat/chat?peer=${peer}` });
  },
});
