// What a page shows in place of a component that has no client yet: that it loads, or that this fails, by `has-failed`.
// Emits `retry` when the user does not want to wait for the host's next attempt.

import { texts } from '../../texts/index';

Component({
  properties: {
    /** Whether the last attempt of the host to get a session failed. */
    hasFailed: { type: Boolean, value: false },
  },

  data: { say: texts().opening },

  methods: {
    onRetry() {
      if (this.data.hasFailed) this.triggerEvent('retry');
    },
  },
});
