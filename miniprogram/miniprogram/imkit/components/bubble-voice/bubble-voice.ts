// A voice in a bubble. A tap plays it, or stops it; a red dot says that it was not played yet.

import { toKey } from '../../core/index';
import { client } from '../../current';
import { createDrawing, NO_DRAWING } from '../../lists/drawing';
import type { MediaRow } from '../../lists/media';
import { isHeard, isPlaying, onVoices, play, stopVoices } from '../../media/voices';
import { texts } from '../../texts/index';

Component({
  properties: {
    media: { type: Object, value: null as unknown as MediaRow },
    conversation: String,
    chatKey: String,
    mine: Boolean,
  },

  data: { say: texts().media, isPlaying: false, isNew: false },

  observers: {
    'chatKey, mine'() {
      this.look();
    },
  },

  lifetimes: {
    attached() {
      const drawing = createDrawing(() => {
        this.look();
      });
      this.drawing = () => drawing;
      this.leave = onVoices(drawing.draw);
      this.look();
    },

    detached() {
      this.leave();
      const { conversation, chatKey } = this.data;
      const key = toKey(conversation);
      if (key === null || !isPlaying(key, chatKey)) return;
      // A row that is only scrolled away plays on.
      const isThere = client()?.chats(key).items.some((item) => item.key === chatKey && !item.recalled);
      if (!isThere) stopVoices();
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
      // Replaced when it is attached.
    },

    /** Draws whether it plays, and whether it was heard. */
    look() {
      const { conversation, chatKey, mine } = this.data;
      const current = client();
      if (!current || chatKey === '') return;
      const playing = isPlaying(toKey(conversation), chatKey);
      // The key of a chat of somebody else is `c` and its id.
      const isNew = !mine && !isHeard(current, Number(chatKey.slice(1)));
      if (playing !== this.data.isPlaying || isNew !== this.data.isNew) this.setData({ isPlaying: playing, isNew });
    },

    onTap() {
      const current = client();
      const conversation = toKey(this.data.conversation);
      if (current && conversation !== null) play(current, conversation, this.data.chatKey);
    },
  },
});
