// Shows and changes the user's own picture and name.

import { client } from '../../current';
import { createDrawing, NO_DRAWING } from '../../lists/drawing';
import { sayError, texts } from '../../texts/index';

/** Maximum characters of a name; 😀 is one. */
const MAX_NAME = 32;

Component({
  data: {
    say: texts().me,
    userId: 0,
    name: '',
    avatarUrl: '',
    /** The name that WeChat is looking at; null if it is not. */
    reviewed: null as string | null,
  },

  lifetimes: {
    attached() {
      const drawing = createDrawing(() => {
        this.show();
      });
      this.drawing = () => drawing;
      const unsubscribe = client()?.subscribe(({ me }) => {
        if (me) drawing.draw();
      });
      this.leave = () => unsubscribe?.();
      this.show();
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
      // Replaced when it is attached.
    },

    show() {
      const me = client()?.me;
      if (me) this.setData({ userId: me.id, name: me.name, avatarUrl: me.avatarUrl ?? '' });
    },

    /** A field for nicknames does not open the privacy gate by itself, as other parts do. */
    onNameFocus() {
      // Whoever refuses types the name.
      if (wx.canIUse('requirePrivacyAuthorize')) wx.requirePrivacyAuthorize({ fail: () => undefined });
    },

    /** WeChat looks at the name after that, and empties the field if the name is unfit. */
    onName({ detail }: WechatMiniprogram.CustomEvent<{ value: string }>) {
      if (wx.canIUse('input.bindnicknamereview')) this.data.reviewed = detail.value;
      else void this.save(detail.value);
    },

    onReview({ detail }: WechatMiniprogram.CustomEvent<{ pass: boolean; timeout: boolean }>) {
      const { reviewed } = this.data;
      this.data.reviewed = null;
      if (reviewed === null) return;
      // The service has a check of its own for what WeChat had no time for.
      if (detail.pass || detail.timeout) {
        void this.save(reviewed);
        return;
      }
      say(this.data.say.unfitName);
      this.setData({ name: reviewed });
      this.show();
    },

    async save(value: string) {
      const current = client();
      const name = value.trim();
      if (!current || name === current.me.name) return;
      // WeChat draws the old name again only if the page has had another one.
      this.setData({ name: value });
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
