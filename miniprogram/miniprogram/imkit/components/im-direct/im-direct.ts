// The info page of a conversation with one person. Emits `person` with `{userId}`, and `add` with `{taken}`.

import { attempt, confirm, tell } from '../../ask';
import { complain } from '../../complain';
import { toUserId, type ImClient, type UserId } from '../../core/index';
import { client } from '../../current';
import { isBlocked, meet, switchBlock } from '../../people';
import { createDrawing, NO_DRAWING } from '../../lists/drawing';
import { sayError, texts } from '../../texts/index';

const say = texts();

/** What a conversation without any chat cannot do: the service does not know it. */
const REFUSED = { conversation_not_found: say.info.noChats, too_many_pinned: say.list.tooManyPinned };

Component({
  properties: {
    /** The peer's id. */
    conversation: String,
    /** Whether there is a button for a group with this person: the host opens it by the event `add`. */
    offersAdd: { type: Boolean, value: true },
  },

  data: {
    say: say.info,
    person: say.person,
    peer: { id: 0, name: '', avatarUrl: '' },
    isMe: false,
    muted: false,
    pinned: false,
    isBlocked: false,
    /** The user has moved the switch: a late answer of the service says nothing new. */
    hasDecided: false,
  },

  lifetimes: {
    attached() {
      this.with((current, userId) => {
        const follow = () => {
          const { muted = false, pinned = false } = current.conversation(userId) ?? {};
          this.setData({ muted, pinned });
        };
        const drawing = createDrawing(follow);
        this.drawing = () => drawing;
        this.leave = current.subscribe(({ conversations }) => {
          if (conversations) drawing.draw();
        });
        follow();
        this.setData({ isMe: userId === current.me.id });
        void this.load(current, userId);
      });
    },

    detached() {
      this.leave();
    },
  },

  pageLifetimes: {
    show() {
      this.drawing().show();
    },

    hide() {
      this.drawing().hide();
    },
  },

  methods: {
    drawing() {
      return NO_DRAWING;
    },

    leave() {
      // Replaced when there is a client.
    },

    /** Calls `run` with the client and the peer. */
    with(run: (current: ImClient, userId: UserId) => unknown) {
      const current = client();
      const userId = toUserId(this.data.conversation);
      if (current && userId !== null) void run(current, userId);
    },

    async load(current: ImClient, userId: UserId) {
      // A stranger where the service has no directory has no name yet.
      const { name, avatarUrl } = await meet(current, userId).catch(() => ({ name: String(userId), avatarUrl: null }));
      this.setData({ peer: { id: userId, name, avatarUrl: avatarUrl ?? '' } });
      try {
        const isBlockedNow = await isBlocked(current, userId);
        if (!this.data.hasDecided) this.setData({ isBlocked: isBlockedNow });
      } catch (error) {
        tell(sayError(error));
      }
    },

    onPerson() {
      this.with((_, userId) => {
        this.triggerEvent('person', { userId });
      });
    },

    onAdd() {
      this.with((_, userId) => {
        this.triggerEvent('add', { taken: [userId] });
      });
    },

    onMute({ detail }: WechatMiniprogram.SwitchChange) {
      this.set('muted', detail.value);
    },

    onPin({ detail }: WechatMiniprogram.SwitchChange) {
      this.set('pinned', detail.value);
    },

    set(name: 'muted' | 'pinned', value: boolean) {
      this.with(async (current, userId) => {
        // The switch has moved already: it moves back only if the page has had its value.
        this.setData({ [name]: value });
        if (!(await attempt(current.set(userId, { [name]: value }), REFUSED))) this.setData({ [name]: !value });
      });
    },

    onBlock({ detail }: WechatMiniprogram.SwitchChange) {
      this.with((current, userId) => switchBlock(this, current, userId, detail.value));
    },

    onClear() {
      this.with(async (current, userId) => {
        if (!(await confirm(say.info.clearQuestion))) return;
        if (await attempt(current.clear(userId), REFUSED)) tell(say.info.cleared);
      });
    },

    onReport() {
      this.with((current, userId) => complain(current, { reportedUserId: userId }));
    },
  },
});
