// Finds people and conversations by a part of their name; people by their id if the service has no directory.

import { client } from '../../imkit/current';
import type { ConversationKey, ImClient } from '../../imkit/core/index';
import { titleOf } from '../../imkit/lists/rows';
import { setInBatches } from '../../imkit/lists/batches';
import { replace } from '../../imkit/lists/patch';
import { findConversations, findPeople, together, TYPING_PAUSE_MS } from '../../imkit/lists/search';
import { sayError, texts } from '../../imkit/texts/index';
import { offers } from '../../platform/offers';
import { server } from '../../platform/server';

interface Person {
  id: number;
  name: string;
  avatarUrl: string;
  /** Under the name. */
  note: string;
}

interface Found {
  key: ConversationKey;
  id: number;
  name: string;
  avatarUrl: string;
}

const say = texts();

Page({
  data: {
    say: say.find,
    list: say.list,
    byId: false,
    people: [] as Person[],
    found: [] as Found[],
    isNone: false,
    isEmpty: true,
    /** Why the service was not asked. */
    failure: '',
  },

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
    this.look(this.typed);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.search(this.typed), TYPING_PAUSE_MS);
  },

  onConfirm() {
    clearTimeout(this.timer);
    void this.search(this.typed);
  },

  onRetry() {
    void this.search(this.typed);
  },

  /** Shows at once what is found on the phone. */
  look(text: string) {
    const current = client();
    if (!current) return;
    const conversations = text === '' ? [] : findConversations(current, text, say);
    const people = conversations.flatMap(({ peer }) => (peer ? [personOf(current, peer)] : []));
    const found = conversations.flatMap((each) => {
      const { key, id, peer, avatarUrl } = each;
      return peer ? [] : [{ key, id, name: titleOf(each, say), avatarUrl: avatarUrl ?? '' }];
    });
    const rows = [...replace('people', this.data.people, people), ...replace('found', this.data.found, found)];
    setInBatches(this, rows, { isEmpty: text === '', isNone: false, failure: '' });
  },

  /** Adds the people whom the service finds. */
  async search(text: string) {
    const current = client();
    if (!current || text === '') return;
    this.setData({ failure: '' });
    try {
      const found = await findPeople(current, text, !this.data.byId);
      if (text !== this.typed) return;
      const people = [...together(this.data.people, found.map((user) => personOf(current, user)))];
      const isNone = people.length === 0 && this.data.found.length === 0;
      setInBatches(this, replace('people', this.data.people, people), { isNone });
    } catch (error) {
      if (text === this.typed) this.setData({ failure: sayError(error) });
    }
  },

  onOpen({ currentTarget }: WechatMiniprogram.TouchEvent) {
    const { peer } = currentTarget.dataset as { peer: ConversationKey };
    void wx.redirectTo({ url: `/pages/chat/chat?peer=${peer}` });
  },

  onGroup() {
    void wx.redirectTo({ url: '/pages/pick/pick' });
  },
});

function personOf({ me }: ImClient, { id, name, avatarUrl }: { id: number; name: string; avatarUrl: string | null }): Person {
  return { id, name, avatarUrl: avatarUrl ?? '', note: id === me.id ? say.find.myself : `${say.find.id} ${id}` };
}
