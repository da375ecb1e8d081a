// A bar that says what is wrong with the connection, while something is. Emits `resize` when it comes or goes.

import { client } from '../../current';
import type { Connection } from '../../core/index';
import { createDrawing, NO_DRAWING } from '../../lists/drawing';
import { texts } from '../../texts/index';

/** Milliseconds after which the bar shows that the client is still connecting. */
const PATIENCE_MS = 1500;

Component({
  data: { text: '' },

  lifetimes: {
    attached() {
      const current = client();
      if (!current) return;
      let timer = 0;
      const show = () => {
        const text = describe(current.connection);
        if (text === this.data.text) return;
        this.setData({ text }, () => {
          this.triggerEvent('resize');
        });
      };
      const drawing = createDrawing(show);
      this.drawing = () => drawing;
      const follow = () => {
        clearTimeout(timer);
        // Hides at once, but waits before it shows a phase that usually passes.
        if (isQuick(current.connection)) timer = setTimeout(drawing.draw, PATIENCE_MS);
        else drawing.draw();
      };
      const unsubscribe = current.subscribe(({ connection }) => {
        if (connection) follow();
      });
      this.leave = () => {
        clearTimeout(timer);
        unsubscribe();
      };
      follow();
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
      // Replaced when there is a client.
    },

    onTap() {
      const current = client();
      if (current?.connection.phase === 'stopped') current.start();
    },
  },
});

/** Whether this phase usually ends before anybody could read a message about it. */
function isQuick({ phase }: Connection): boolean {
  return phase === 'connecting' || phase === 'signing_in' || phase === 'syncing';
}

function describe(connection: Connection): string {
  const { connection: say } = texts();
  switch (connection.phase) {
    case 'offline':
      return say.offline;
    case 'waiting':
      return say.waiting;
    case 'connecting':
    case 'signing_in':
      return say.connecting;
    case 'syncing':
      return say.syncing;
    case 'stopped':
      // The user has to sign in by hand, and the sign-in page says so.
      if (connection.reason === 'signed_out' || connection.reason === 'other_account') return '';
      return say[connection.reason];
    case 'idle':
    case 'hidden':
    case 'online':
      return '';
  }
}
