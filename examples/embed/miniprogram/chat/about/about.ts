// What can be done about a conversation: mute, pin, block, report. WeChat's review asks for the last two.

import { enter, retry } from '../im';

Page({
  data: { conversation: '', hasFailed: false },

  onLoad({ peer = '' }: Record<string, string | undefined>) {
    const show = (hasFailed: boolean) => {
      this.setData({ hasFailed });
    };
    void enter(show).then((entry) => {
      if (entry) this.setData({ conversation: peer });
    });
  },

  onRetry() {
    retry();
  },
});
