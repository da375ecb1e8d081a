// WeChat's privacy gate: the user has to agree to the guideline before the app may use the picture or the nickname.

import { texts } from '../../texts/index';

type Decide = (decision: { event: 'agree' | 'disagree'; buttonId?: string }) => void;

/** WeChat's questions that have no answer yet. */
let questions: Decide[] = [];

/** Answers all open questions. */
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
      // The type of the function's argument is wrong in the typings.
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
