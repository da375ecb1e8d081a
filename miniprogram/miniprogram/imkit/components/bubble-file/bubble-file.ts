// A file in a bubble: its name and size. A tap opens it.

import { toKey } from '../../core/index';
import { client } from '../../current';
import type { MediaRow } from '../../lists/media';
import { openFile } from '../../media/documents';
import { texts } from '../../texts/index';

Component({
  properties: {
    media: { type: Object, value: null as unknown as MediaRow },
    conversation: String,
    chatKey: String,
  },

  data: { say: texts().media, suffix: '' },

  observers: {
    'media.title'(title: string | undefined) {
      const suffix = /\.(\w{1,4})$/.exec(title ?? '')?.[1]?.toUpperCase() ?? '';
      if (suffix !== this.data.suffix) this.setData({ suffix });
    },
  },

  methods: {
    onTap() {
      const { chatKey } = this.data;
      const conversation = toKey(this.data.conversation);
      const items = conversation === null ? [] : (client()?.chats(conversation).items ?? []);
      const item = items.find(({ key }) => key === chatKey);
      if (item) void openFile(item);
    },
  },
});
