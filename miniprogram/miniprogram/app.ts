// The app: passes the phone's lifecycle events to the client.

import { enter, resume } from './account';
import { confirm } from './imkit/ask';
import { client } from './imkit/current';
import { texts } from './imkit/texts/index';

App({
  onLaunch() {
    // Whoever is new sees neither the list nor a question: the pages wait for this.
    if (!resume()) void enter();
    update();
    wx.onNetworkStatusChange(({ isConnected }) => {
      client()?.network(isConnected);
    });
  },

  onShow() {
    client()?.show();
  },

  onHide() {
    client()?.hide();
  },
});

/** WeChat loads a new version while the old one runs. */
function update(): void {
  if (!wx.canIUse('getUpdateManager')) return;
  const manager = wx.getUpdateManager();
  manager.onUpdateReady(() => {
    const { update: say } = texts();
    void confirm(say.question, say.restart).then((isWanted) => {
      if (isWanted) manager.applyUpdate();
    });
  });
}
