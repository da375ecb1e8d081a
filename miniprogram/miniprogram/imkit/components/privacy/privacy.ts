// WeChat's privacy gate: the user has to agree to the guideline before the app may use the picture, the nickname or
// the clipboard. Each page that uses one of them has this component.

import { texts } from '../../texts/index';
import { answer, enter, leave, type Draw } from './gate';

/** The part of a gate that `gate.ts` draws, by gate. */
const DRAWS = new WeakMap<object, Draw>();

function drawOf(gate: object): Draw {
  const draw = DRAWS.get(gate);
  if (!draw) throw new Error('the gate is not attached');
  return draw;
}

Component({
  data: { isAsking: false, say: texts().privacy },

  lifetimes: {
    attached() {
      DRAWS.set(this, (isAsking) => {
        if (isAsking !== this.data.isAsking) this.setData({ isAsking });
      });
      enter(drawOf(this));
    },

    detached() {
      leave(drawOf(this));
    },
  },

  pageLifetimes: {
    show() {
      enter(drawOf(this));
    },

    hide() {
      leave(drawOf(this));
    },
  },

  methods: {
    onAgree() {
      answer({ event: 'agree', buttonId: 'privacy-agree' });
    },

    onRefuse() {
      answer({ event: 'disagree' });
    },

    onRead() {
      wx.openPrivacyContract({});
    },
  },
});
