// The panel behind +: pictures, camera, files. Emits `draft` with each thing to send, once it is ready.

import type { Draft } from '../../core/index';
import { chooseFiles, choosePictures } from '../../media/choose';
import { texts } from '../../texts/index';

Component({
  data: { say: texts().media },

  methods: {
    give(draft: Draft) {
      this.triggerEvent('draft', { draft });
    },

    onAlbum() {
      void choosePictures('album', this.give.bind(this));
    },

    onCamera() {
      void choosePictures('camera', this.give.bind(this));
    },

    onFile() {
      void chooseFiles(this.give.bind(this));
    },
  },
});
