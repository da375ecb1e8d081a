// The app: passes the phone's lifecycle events to the client.

import { resume } from './account';
import { client } from './imkit/current';

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
