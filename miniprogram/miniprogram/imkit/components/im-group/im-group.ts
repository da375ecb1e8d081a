// The info page of a group. Emits `title`, `person` with `{userId}`, `add` with `{taken}`, and `left`.

import { attempt, choose, confirm, prompt, tell } from '../../ask';
import { complain } from '../../complain';
import { toKey, type Conversation, type GroupKey, type ImClient, type Member, type UserId } from '../../core/index';
import { client } from '../../current';
import { setInBatches } from '../../lists/batches';
import { createDrawing, NO_DRAWING } from '../../lists/drawing';
import { replace } from '../../lists/patch';
import { texts } from '../../texts/index';
import { faceOf, hintOf, type Face, type Mode } from './members';

/** Maximum characters of a title; 😀 is one. */
const MAX_TITLE = 60;

/** So many members are shown until the user asks for all: rows of five, with the two tiles. */
const FEW = 18;

const say = texts();

const REFUSED = {
  forbidden: say.info.forbidden,
  conversation_not_found: say.info.left,
  too_many_pinned: say.list.tooManyPinned,
  invalid_request: say.info.badName,
  invalid_name: say.me.unfitName,
};

/** Nobody is to be chosen. */
const LOOKING: { mode: Mode; hint: string } = { mode: 'look', hint: '' };

Component({
  properties: {
    /** `g` and the id of the group. */
    conversation: String,
  },

  data: {
    say: say.info,
    done: say.done,
    name: '',
    faces: [] as Face[],
    hasMore: false,
    hasFailed: false,
    ...LOOKING,
    canRemove: false,
    isOwner: false,
    muted: false,
    pinned: false,
    reportText: say.person.report,
  },

  lifetimes: {
    attached() {
      const current = client();
      const key = this.key();
      if (!current || key === null) return;
      let version = 0;
      const follow = () => {
        const group = current.conversation(key);
        if (!group) return;
        this.draw(group);
        if (group.left || group.membersVersion === version) return;
        version = group.membersVersion;
        void this.load(current, key);
      };
      const drawing = createDrawing(follow);
      this.drawing = () => drawing;
      this.leave = current.subscribe(({ conversations }) => {
        if (conversations || current.conversation(key)?.left) drawing.draw();
      });
      follow();
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

    key(): GroupKey | null {
      const key = toKey(this.data.conversation);
      return typeof key === 'string' ? key : null;
    },

    /** Calls `run` with the client and the group. */
    with(run: (current: ImClient, key: GroupKey) => unknown) {
      const current = client();
      const key = this.key();
      if (current && key !== null) void run(current, key);
    },

    draw(group: Conversation) {
      const { muted, pinned, title, role, memberCount } = group;
      const isOwner = role === 'owner';
      const canRemove = (isOwner || role === 'admin') && memberCount > 1;
      this.setData({ name: title, muted, pinned, isOwner, canRemove });
      this.triggerEvent('title', { title: say.info.titleOf(memberCount) });
    },

    // ---- Members

    /** Shows the first members, or as many as before. */
    async load(current: ImClient, key: GroupKey) {
      const count = Math.max(FEW, this.data.faces.length);
      try {
        let page = await current.members(key);
        let members: readonly Member[] = page.members;
        while (page.hasMore && members.length < count) {
          page = await current.members(key, members[members.length - 1]?.user.id);
          members = [...members, ...page.members];
        }
        this.show(current, key, members.slice(0, count), page.hasMore || members.length > count);
      } catch {
        this.setData({ hasFailed: true });
      }
    },

    show(current: ImClient, key: GroupKey, members: readonly Member[], hasMore: boolean) {
      const mine = current.conversation(key)?.role ?? 'member';
      const faces = members.map((member) => faceOf(member, this.data.mode, mine, current.me.id, say));
      setInBatches(this, replace('faces', this.data.faces, faces), { hasMore, hasFailed: false });
    },

    onMore() {
      this.with(async (current, key) => {
        const { faces } = this.data;
        try {
          const { members, hasMore } = await current.members(key, faces[faces.length - 1]?.id as UserId | undefined);
          this.show(current, key, [...faces.map(memberOf), ...members], hasMore);
        } catch {
          this.setData({ hasFailed: true });
        }
      });
    },

    onRetry() {
      this.with((current, key) => this.load(current, key));
    },

    setMode(mode: Mode) {
      this.with((current, key) => {
        this.setData({ mode, hint: hintOf(mode, say) });
        this.show(current, key, this.data.faces.map(memberOf), this.data.hasMore);
      });
    },

    onModeDone() {
      this.setMode('look');
    },

    onRemove() {
      this.setMode(this.data.mode === 'remove' ? 'look' : 'remove');
    },

    onAdd() {
      this.triggerEvent('add', { taken: this.data.faces.map(({ id }) => id) });
    },

    onFace({ currentTarget }: WechatMiniprogram.TouchEvent) {
      const { index } = currentTarget.dataset as { index: number };
      const face = this.data.faces[index];
      if (face?.isOpen) this.with((current, key) => this.act(current, key, face));
    },

    async act(current: ImClient, key: GroupKey, { id, name, role }: Face) {
      const userId = id as UserId;
      switch (this.data.mode) {
        case 'look':
          this.triggerEvent('person', { userId });
          return;
        case 'remove':
          if (!(await confirm(say.info.removeQuestion(name)))) return;
          await attempt(current.removeMember(key, userId), REFUSED);
          return;
        case 'admins':
          await attempt(current.setRole(key, userId, role === 'admin' ? 'member' : 'admin'), REFUSED);
          return;
        case 'owner':
          if (!(await confirm(say.info.handOverQuestion(name)))) return;
          if (await attempt(current.setRole(key, userId, 'owner'), REFUSED)) this.setMode('look');
          return;
        case 'report':
          this.setMode('look');
          await complain(current, { reportedUserId: userId });
      }
    },

    async onManage() {
      const modes: Mode[] = ['admins', 'owner'];
      const chosen = await choose([say.info.admins, say.info.handOver]);
      const mode = chosen === null ? undefined : modes[chosen];
      if (mode) this.setMode(mode);
    },

    // ---- Settings

    onName() {
      this.with(async (current, key) => {
        const group = current.conversation(key);
        if (!group || group.role === 'member') {
          tell(say.info.onlyAdmins);
          return;
        }
        const typed = await prompt(say.info.name, group.title, say.info.namePrompt);
        const title = typed?.trim();
        if (title === undefined || title === group.title) return;
        if (title === '' || Array.from(title).length > MAX_TITLE) tell(say.info.badName);
        else await attempt(current.setTitle(key, title), REFUSED);
      });
    },

    onMute({ detail }: WechatMiniprogram.SwitchChange) {
      this.set('muted', detail.value);
    },

    onPin({ detail }: WechatMiniprogram.SwitchChange) {
      this.set('pinned', detail.value);
    },

    set(name: 'muted' | 'pinned', value: boolean) {
      this.with(async (current, key) => {
        // The switch has moved already: it moves back only if the page has had its value.
        this.setData({ [name]: value });
        if (!(await attempt(current.set(key, { [name]: value }), REFUSED))) this.setData({ [name]: !value });
      });
    },

    onClear() {
      this.with(async (current, key) => {
        if (!(await confirm(say.info.clearQuestion))) return;
        if (await attempt(current.clear(key), REFUSED)) tell(say.info.cleared);
      });
    },

    onReport() {
      this.setMode('report');
    },

    onLeave() {
      this.with(async (current, key) => {
        if (!(await confirm(say.info.leaveQuestion))) return;
        if (await attempt(current.removeMember(key, current.me.id), REFUSED)) this.triggerEvent('left');
      });
    },
  },
});

function memberOf({ id, name, avatarUrl, role }: Face): Member {
  return { user: { id: id as UserId, name, avatarUrl }, role };
}
