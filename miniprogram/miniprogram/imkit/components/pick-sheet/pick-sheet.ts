// A sheet with people or conversations, of which one is chosen. Emits `choose` with the key of a row, `more` at the
// end of the list, and `close`.

import { texts } from '../../texts/index';
import type { PickRow } from './row';

Component({
  properties: {
    isOpen: Boolean,
    title: String,
    rows: { type: Array, value: [] as PickRow[] },
    /** Under the rows: that they load, or that there are none. */
    note: String,
  },

  data: { cancel: texts().cancel },

  methods: {
    onClose() {
      this.triggerEvent('close');
    },

    onMore() {
      this.triggerEvent('more');
    },

    onChoose({ currentTarget }: WechatMiniprogram.TouchEvent) {
      const { key } = currentTarget.dataset as { key: string };
      this.triggerEvent('choose', { key });
    },
  },
});
