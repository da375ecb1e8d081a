// WeChat's privacy gate: before the picture or the nickname is used, the guideline is to be agreed to.

import { texts } from '../../texts/index';

type Decide = (decision: { event: 'agree' | 'disagree'; buttonId?: string }) => void;

/** What WeChat has asked and nobody has answered. */
let questions: Decide[] = [];

/** Gives all open questions one answer. */
const answer: Decide = (decision) => {
  const open = questions;
  questions = [];
  for (const decide of open) decide(decision);
};

Component({
  data: { isAsking: false, say: texts().privacy },

  lifetimes: {
    attached() {
      if (!wx.canIUse('onNeedPrivacyAuthorization')) return;
      const ask = (decide: Decide) => {
        questions.push(decide);
        this.setData({ isAsking: true });
      };
      // The types have the function's argument wrong.
      wx.onNeedPrivacyAuthorization(ask as unknown as WechatMiniprogram.OnNeedPrivacyAuthorizationCallback);
    },

    detached() {
      answer({ event: 'disagree' });
    },
  },

  methods: {
    onAgree() {
      answer({ event: 'agree', buttonId: 'privacy-agree' });
      this.setData({ isAsking: false });
    },

    onRefuse() {
      answer({ event: 'disagree' });
      this.setData({ isAsking: false });
    },

    onRead() {
      wx.openPrivacyContract({});
    },
  },
});
