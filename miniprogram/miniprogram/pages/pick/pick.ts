// Chooses people for a new group, for one `with` somebody, or to add them to a `group`.

import { attempt } from '../../imkit/ask';
import { toKey, toUserId, type GroupKey, type ImClient, type UserId } from '../../imkit/core/index';
import { client } from '../../imkit/current';
import { texts } from '../../imkit/texts/index';
import { offers } from '../../platform/offers';
import { server } from '../../platform/server';

const say = texts();

const REFUSED = {
  too_many_members: say.info.tooMany,
  user_not_found: say.person.notFound,
  forbidden: say.info.forbidden,
  not_allowed: say.info.forbidden,
  conversation_not_found: say.info.left,
};

Page({
  data: { hasDirectory: true, taken: [] as number[] },

  /** The group to which people are added; null if a new one is made. */
  group: null as GroupKey | null,
  /** The peer who is in the new group anyway. */
  peer: null as UserId | null,
  /** The new group's id and members: a repeat after a lost answer makes no second one. */
  made: { id: '', members: '' },
  isBusy: false,
  /** The user has left: what is answered now must not turn another page. */
  isGone: false,

  async onLoad(options: Record<string, string | undefined>) {
    const current = client();
    if (!current) {
      void wx.reLaunch({ url: '/pages/conversations/conversations' });
      return;
    }
    const group = toKey(options['group']);
    this.group = typeof group === 'string' ? group : null;
    this.peer = toUserId(options['with']);
    if (this.peer !== null) this.setData({ taken: [this.peer] });
    if (this.group !== null) void this.load(current, this.group);
    try {
      const { directory } = await offers(server());
      this.setData({ hasDirectory: directory });
    } catch {
      // Without an answer no search works; the picker says so.
    }
  },

  onUnload() {
    this.isGone = true;
  },

  onShow() {
    void wx.setNavigationBarTitle({ title: say.pick.title });
  },

  /** Who is in the group cannot be chosen. Without an answer everybody can: the service leaves out who is in it. */
  async load(current: ImClient, group: GroupKey) {
    let after: UserId | undefined;
    try {
      for (;;) {
        const { members, hasMore } = await current.members(group, after);
        this.setData({ taken: [...this.data.taken, ...members.map(({ user }) => user.id)] });
        after = members[members.length - 1]?.user.id;
        if (!hasMore || after === undefined) return;
      }
    } catch {
      // See above.
    }
  },

  async onDone({ detail }: WechatMiniprogram.CustomEvent<{ people: { id: number }[] }>) {
    const current = client();
    if (!current || this.isBusy) return;
    this.isBusy = true;
    const userIds = detail.people.map(({ id }) => id as UserId);
    if (this.group === null) await this.create(current, this.peer === null ? userIds : [this.peer, ...userIds]);
    else if (await attempt(current.addMembers(this.group, userIds), REFUSED)) {
      // It stays busy: the page goes.
      if (!this.isGone) void wx.navigateBack();
      return;
    }
    this.isBusy = false;
  },

  async create(current: ImClient, userIds: readonly UserId[]) {
    const [first] = userIds;
    // A group of two is a conversation with one person.
    if (userIds.length === 1 && first !== undefined) {
      void wx.redirectTo({ url: `/pages/chat/chat?peer=${first}` });
      return;
    }
    const members = userIds.join();
    if (members !== this.made.members) this.made = { id: `${Date.now()}-${Math.random()}`, members };
    const making = current.createGroup({ userIds, id: this.made.id }).then((key) => {
      if (!this.isGone) void wx.redirectTo({ url: `/pages/chat/chat?peer=${key}` });
    });
    await attempt(making, REFUSED);
  },
});
