// A card in a bubble: a picture, a title, a description. Emits `card` with the chat's key at a tap, which bubbles.

import type { MediaRow } from '../../lists/media';

Component({
  properties: {
    media: { type: Object, value: null as unknown as MediaRow },
    chatKey: String,
  },

  data: { hasFailed: false },

  observers: {
    'media.src'() {
      if (this.data.hasFailed) this.setData({ hasFailed: false });
    },
  },

  methods: {
    onTap() {
      this.triggerEvent('card', { key: this.data.chatKey });
    },

    onError() {
      this.setData({ hasFailed: true });
    },
  },
});
