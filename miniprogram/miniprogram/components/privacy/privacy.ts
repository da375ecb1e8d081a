// WeChat's privacy gate: before the picture or the nickname is used, the guideline is to be agreed to.

import { texts } from '../../texts/index';

interface Decision {
  event: 'agree' | 'disagree';
  buttonId?: string;
}

Component({
  data: { isAsking: false, say: texts().privacy },

  lifetimes: {
    attached() {
      if (!wx.canIUse('onNeedPrivacyAuthorization')) return;
      const ask = (resolve: (decision: Decision) => void) => {
        // One question at a time: an older one that is still open is answered like the newer one.
        const earlier = this.decide;
        this.decide = (decision) => {
          earlier(decision);
          resolve(decision);
        };
        this.setData({ isAsking: true });
      };
      // The types have the function's argument wrong.
      wx.onNeedPrivacyAuthorization(ask as unknown as WechatMiniprogram.OnNeedPrivacyAuthorizationCallback);
    },

    detached() {
      this.end({ event: 'disagree' });
    },
  },

  methods: {
    /** Answers what WeChat asked; nothing until it asks. */
    decide(_decision: Decision) {
      // Replaced by each question.
    },

    end(decision: Decision) {
      this.decide(decision);
      this.decide = () => undefined;
      this.setData({ isAsking: false });
    },

    onAgree() {
      this.end({ event: 'agree', buttonId: 'privacy-agree' });
    },

    onRefuse() {
      this.end({ event: 'disagree' });
    },

    onRead() {
      void wx.openPrivacyContract({});
    },
  },
});
