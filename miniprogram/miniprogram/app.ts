// The app: passes the phone's lifecycle events to the client.

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
