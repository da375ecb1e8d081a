// Shows and changes the user's own picture and name.

import { client } from '../../current';
import { sayError, texts } from '../../texts/index';

/** Maximum characters of a name; 😀 is one. */
const MAX_NAME = 32;

Component({
  data: { say: texts().me, userId: 0, name: '', avatarUrl: '' },

  lifetimes: {
    attached() {
      const unsubscribe = client()?.subscribe(({ me }) => {
        if (me) this.show();
      });
      this.leave = () => unsubscribe?.();
      this.show();
    },

    detached() {
      this.leave();
    },
  },

  methods: {
    leave() {
      // Replaced when it is attached.
    },

    show() {
      const me = client()?.me;
      if (me) this.setData({ userId: me.id, name: me.name, avatarUrl: me.avatarUrl ?? '' });
    },

    async onName({ detail }: WechatMiniprogram.CustomEvent<{ value: string }>) {
      const current = client();
      const name = detail.value.trim();
      if (!current || name === current.me.name) return;
      // WeChat draws the old name again only if the page has had another one.
      this.setData({ name: detail.value });
      if (name === '' || Array.from(name).length > MAX_NAME) {
        say(this.data.say.badName);
        this.show();
        return;
      }
      try {
        await current.rename(name);
        say(this.data.say.saved);
      } catch (error) {
        const { badName, unfitName } = this.data.say;
        say(sayError(error, { invalid_request: badName, invalid_name: unfitName }));
        this.show();
      }
    },

    async onChooseAvatar({ detail }: WechatMiniprogram.CustomEvent<{ avatarUrl: string }>) {
      try {
        const image = await readFile(detail.avatarUrl);
        await client()?.setAvatar(image, 'image/jpeg');
        say(this.data.say.saved);
      } catch (error) {
        const { badImage } = this.data.say;
        say(sayError(error, { invalid_image: badImage, payload_too_large: badImage }));
      }
    },
  },
});

function say(title: string): void {
  void wx.showToast({ title, icon: 'none' });
}

function readFile(filePath: string): Promise<ArrayBuffer> {
  return new Promise((resolve, reject) => {
    wx.getFileSystemManager().readFile({
      filePath,
      success: ({ data }) => {
        resolve(data as ArrayBuffer);
      },
      fail: ({ errMsg }) => {
        reject(new Error(errMsg));
      },
    });
  });
}
