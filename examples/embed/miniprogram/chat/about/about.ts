// What can be done about a conversation: mute, pin, block, report. WeChat's review asks for the last two.

import { enter } from '../im';

Page({
  data: { conversation: '' },

  onLoad({ peer = '' }: Record<string, string | undefined>) {
    void enter().then((entry) => {
      if (entry) this.setData({ conversation: peer });
    });
  },
});
