// A sheet from which the user picks a person or a conversation. Emits `choose` with the key of a row, `more` at the
// end of the list, and `close`.

import { texts } from '../../texts/index';
import type { PickRow } from './row';

Component({
  properties: {
    isOpen: Boolean,
    title: String,
    rows: { type: Array, value: [] as PickRow[] },
    /** A text under the rows: they are loading, or there are none. */
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
