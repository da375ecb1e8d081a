// The app: it follows the phone's life, and hands it on to the client.

import { client, resume } from './account';

App({
  onLaunch() {
    resume();
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
