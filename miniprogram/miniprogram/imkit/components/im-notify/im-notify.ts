// Offers a message of WeChat's when the other side, who is away, replies. Emits `grants` with `{accepted, rejected}`,
// the ids of templates, to report to the service, and `resize` when it comes or goes.

import { tell } from '../../ask';
import { texts } from '../../texts/index';

/** WeChat's number for: the user has switched off all subscribe messages of this mini program. */
const ALL_OFF = 20004;

/** The most templates of one question that every version of WeChat takes. */
const MOST_TEMPLATES = 3;

const say = texts().notify;

/** WeChat's answer: `accept`, `reject`, `ban` or `filter` by the id of the template. */
type Answers = Readonly<Record<string, string>>;

/** What a component knows besides what it draws. */
interface State {
  /** The answers that the user keeps, with 总是保持: WeChat asks no more. */
  kept: Answers;
}

const STATES = new WeakMap<object, State>();

Component({
  properties: {
    /** The ids of the service's templates. */
    templates: Array,
    isAway: Boolean,
  },

  data: { say, isShown: false, isDone: false },

  observers: {
    'templates, isAway, isDone'() {
      this.draw();
    },
  },

  lifetimes: {
    attached() {
      STATES.set(this, { kept: {} });
      this.learn();
      this.draw();
    },
  },

  methods: {
    ids(): string[] {
      return (this.data.templates as string[]).slice(0, MOST_TEMPLATES);
    },

    draw() {
      const { isAway, isDone, isShown } = this.data;
      const shows = isAway && !isDone && this.ids().length > 0 && wx.canIUse('requestSubscribeMessage');
      if (shows === isShown) return;
      this.setData({ isShown: shows }, () => {
        this.triggerEvent('resize');
      });
    },

    /** Asks WeChat which answers the user keeps. */
    learn() {
      const state = STATES.get(this);
      if (!state || !wx.canIUse('requestSubscribeMessage')) return;
      wx.getSetting({
        withSubscriptions: true,
        success: ({ subscriptionsSetting }) => {
          state.kept = (subscriptionsSetting as { itemSettings?: Answers } | undefined)?.itemSettings ?? {};
        },
      });
    },

    onOffer() {
      this.ask(true);
    },

    onClose() {
      this.setData({ isDone: true });
    },

    /** Asks for one more message without a question, if the user has allowed that. To call in a tap that sends a chat. */
    renew() {
      const kept = STATES.get(this)?.kept ?? {};
      const ids = this.ids();
      if (ids.length > 0 && ids.every((id) => kept[id] === 'accept')) this.ask(false);
    },

    ask(isAloud: boolean) {
      const tmplIds = this.ids();
      wx.requestSubscribeMessage({
        tmplIds,
        success: (result) => {
          const answers = result as unknown as Answers;
          const accepted = tmplIds.filter((id) => answers[id] === 'accept');
          const rejected = tmplIds.filter((id) => answers[id] === 'reject' || answers[id] === 'ban');
          this.triggerEvent('grants', { accepted, rejected });
          if (!isAloud) return;
          tell(accepted.length > 0 ? say.accepted : say.rejected);
          this.setData({ isDone: true });
          this.learn();
        },
        fail: ({ errCode }) => {
          if (isAloud) tell(errCode === ALL_OFF ? say.isOff : texts().unknownError);
        },
      });
    },
  },
});
