// 按住 说话: records while it is held. Sliding up cancels. Emits `draft` with the voice.

import { keep } from '../../media/files';
import { refused } from '../../media/permission';
import { MOST_MS, record, stop } from '../../media/recorder';
import { stopVoices } from '../../media/voices';
import { texts } from '../../texts/index';

/** Pixels that a finger slides up to cancel. */
const CANCEL_PX = 60;

/** Seconds before the end at which it counts down. */
const COUNT_DOWN = 10;

Component({
  data: {
    say: texts().media,
    bars: [0, 1, 2, 3, 4, 5, 6, 7, 8],
    isHeld: false,
    isCancelling: false,
    seconds: 0,
    /** Seconds left, near the end; 0 before. */
    left: 0,
    startY: 0,
    timer: 0,
    /** The number of the press that records, or is about to. */
    press: 0,
  },

  lifetimes: {
    attached() {
      // Asked for now: nobody can answer while holding the button.
      wx.authorize({
        scope: 'scope.record',
        fail: (error) => {
          refused(error, 'scope.record');
        },
      });
    },

    detached() {
      this.end('cancel');
    },
  },

  pageLifetimes: {
    hide() {
      this.end('cancel');
    },
  },

  methods: {
    onStart({ touches }: WechatMiniprogram.TouchEvent) {
      stopVoices();
      const press = this.data.press + 1;
      const isFree = record({
        started: () => {
          this.count();
        },
        done: (path, durationMs) => {
          this.rest(press);
          void this.give(path, durationMs);
        },
        cancelled: () => {
          this.rest(press);
        },
        tooShort: () => {
          this.rest(press);
          void wx.showToast({ title: this.data.say.tooShort, icon: 'none' });
        },
        failed: (error) => {
          this.rest(press);
          refused(error, 'scope.record');
        },
      });
      if (isFree) this.setData({ press, isHeld: true, isCancelling: false, seconds: 0, left: 0, startY: touches[0]?.clientY ?? 0 });
    },

    onMove({ touches }: WechatMiniprogram.TouchEvent) {
      const isCancelling = this.data.startY - (touches[0]?.clientY ?? 0) > CANCEL_PX;
      if (this.data.isHeld && isCancelling !== this.data.isCancelling) this.setData({ isCancelling });
    },

    onEnd() {
      this.end(this.data.isCancelling ? 'cancel' : 'send');
    },

    onCancel() {
      this.end('cancel');
    },

    end(how: 'send' | 'cancel') {
      if (!this.data.isHeld) return;
      stop(how);
      clearInterval(this.data.timer);
      this.setData({ isHeld: false });
    },

    /** Counts the seconds on the screen. */
    count() {
      clearInterval(this.data.timer);
      this.data.timer = setInterval(() => {
        const seconds = this.data.seconds + 1;
        const left = MOST_MS / 1000 - seconds;
        this.setData({ seconds, left: left <= COUNT_DOWN && left > 0 ? left : 0 });
      }, 1000);
    },

    /** A press has ended; the next one may have begun while the phone was still ending it. */
    rest(press: number) {
      if (press < this.data.press) return;
      clearInterval(this.data.timer);
      if (this.data.isHeld) this.setData({ isHeld: false });
    },

    async give(path: string, durationMs: number) {
      const suffix = /\.\w{1,5}$/.exec(path)?.[0] ?? '.mp3';
      const file = await keep(path, `voice${suffix}`, [durationMs, 0]);
      this.triggerEvent('draft', { draft: { kind: 'voice', content: this.data.say.voice, file } });
    },
  },
});
