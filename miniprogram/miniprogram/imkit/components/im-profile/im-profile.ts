// The profile page of a person. Emits `write` with `{userId}`, and `title`, the name. Its page says in
// `onShareAppMessage` what is shared.

import { complain } from '../../complain';
import { ImError, toUserId, type ImClient, type UserId } from '../../core/index';
import { client } from '../../current';
import { isBlocked, meet, switchBlock } from '../../people';
import { sayError, texts } from '../../texts/index';

const say = texts();

Component({
  properties: {
    userId: String,
  },

  data: {
    say: say.person,
    retry: say.info.notLoaded,
    id: 0,
    name: '',
    avatarUrl: '',
    isMe: false,
    isBlocked: false,
    /** The user has moved the switch: a late answer of the service says nothing new. */
    hasDecided: false,
    /** Why nothing is shown. */
    failure: '',
    canRetry: false,
  },

  lifetimes: {
    attached() {
      this.with((current, userId) => this.load(current, userId));
    },
  },

  methods: {
    /** Calls `run` with the client and the user. */
    with(run: (current: ImClient, userId: UserId) => unknown) {
      const current = client();
      const userId = toUserId(this.data.userId);
      if (current && userId !== null) void run(current, userId);
    },

    async load(current: ImClient, userId: UserId) {
      const isMe = userId === current.me.id;
      this.setData({ isMe, failure: '' });
      try {
        const { id, name, avatarUrl } = await meet(current, userId);
        this.setData({ id, name, avatarUrl: avatarUrl ?? '' });
        this.triggerEvent('title', { title: name });
        const isBlockedNow = !isMe && (await isBlocked(current, userId));
        if (!this.data.hasDecided) this.setData({ isBlocked: isBlockedNow });
      } catch (error) {
        const isGone = error instanceof ImError && error.status === 404;
        // What is shown stays.
        if (this.data.name === '') {
          this.setData({ failure: isGone ? say.person.notFound : sayError(error), canRetry: !isGone });
        }
      }
    },

    onRetry() {
      this.with((current, userId) => this.load(current, userId));
    },

    onLook() {
      const { avatarUrl } = this.data;
      if (avatarUrl) void wx.previewMedia({ sources: [{ url: avatarUrl }] });
    },

    onWrite() {
      this.with((_, userId) => {
        this.triggerEvent('write', { userId });
      });
    },

    onBlock({ detail }: WechatMiniprogram.SwitchChange) {
      this.with((current, userId) => switchBlock(this, current, userId, detail.value));
    },

    onReport() {
      this.with((current, userId) => complain(current, { reportedUserId: userId }));
    },
  },
});
