// The people whom one has blocked. Emits `person` with `{userId}`.

import type { ImClient, User, UserId } from '../../core/index';
import { client } from '../../current';
import { setInBatches } from '../../lists/batches';
import { replace } from '../../lists/patch';
import { together } from '../../lists/search';
import { unblock } from '../../people';
import { texts } from '../../texts/index';

interface Row {
  readonly id: number;
  readonly name: string;
  readonly avatarUrl: string;
}

const say = texts();

Component({
  data: { say: say.person, retry: say.info.notLoaded, more: say.info.more, rows: [] as Row[], isLoaded: false, hasMore: false, hasFailed: false },

  lifetimes: {
    attached() {
      this.onMore();
    },
  },

  pageLifetimes: {
    /** Somebody may have been unblocked on their profile page. */
    show() {
      if (!this.data.isLoaded) return;
      this.setData({ rows: [] });
      this.onMore();
    },
  },

  methods: {
    /** Loads those after the last one. */
    onMore() {
      const current = client();
      if (current) void this.load(current, this.data.rows);
    },

    async load(current: ImClient, before: readonly Row[]) {
      this.setData({ hasFailed: false });
      try {
        const last = before[before.length - 1]?.id as UserId | undefined;
        const { blocks, hasMore } = await current.blocks(last);
        const rows = together(before, blocks.map(({ user }) => rowOf(user)));
        setInBatches(this, replace('rows', this.data.rows, rows), { hasMore, isLoaded: true });
      } catch {
        this.setData({ hasFailed: true });
      }
    },

    onPerson({ currentTarget }: WechatMiniprogram.TouchEvent) {
      const { id } = currentTarget.dataset as { id: number };
      this.triggerEvent('person', { userId: id });
    },

    async onUnblock({ currentTarget }: WechatMiniprogram.TouchEvent) {
      const { id } = currentTarget.dataset as { id: number };
      const current = client();
      if (!current || !(await unblock(current, id as UserId))) return;
      setInBatches(this, replace('rows', this.data.rows, this.data.rows.filter((row) => row.id !== id)));
    },
  },
});

function rowOf({ id, name, avatarUrl }: User): Row {
  return { id, name, avatarUrl: avatarUrl ?? '' };
}
