// A picture in a bubble: its place is there before it is loaded. A tap opens it.

import { toKey } from '../../core/index';
import { client } from '../../current';
import type { MediaRow } from '../../lists/media';
import { preview } from '../../media/album';
import { texts } from '../../texts/index';

Component({
  properties: {
    media: { type: Object, value: null as unknown as MediaRow },
    conversation: String,
    chatKey: String,
  },

  data: {
    say: texts().media,
    /** What is drawn. It stays what it was on the phone when the chat is sent: the same picture would flicker. */
    shown: '',
    drawnKey: '',
    hasFailed: false,
  },

  observers: {
    'media.src, chatKey'(src: string | undefined, chatKey: string) {
      const isSame = this.data.drawnKey === chatKey && /^(blob|wxfile):|^http:\/\/(usr|tmp)/.test(this.data.shown);
      this.data.drawnKey = chatKey;
      const shown = isSame && !this.data.hasFailed ? this.data.shown : (src ?? '');
      if (shown !== this.data.shown) this.setData({ shown, hasFailed: false });
    },
  },

  methods: {
    onTap() {
      const current = client();
      const conversation = toKey(this.data.conversation);
      if (current && conversation !== null) preview(current, conversation, this.data.chatKey);
    },

    onError() {
      const { src } = this.data.media;
      // The file on the phone may be gone by now.
      if (src !== this.data.shown) this.setData({ shown: src });
      else this.setData({ hasFailed: true });
    },

    onLoad() {
      if (this.data.hasFailed) this.setData({ hasFailed: false });
    },
  },
});
