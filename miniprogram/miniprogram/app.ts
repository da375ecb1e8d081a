// The app: it follows the phone's life, and hands it on to the client.

import { client, resume } from './account';
import { texts } from './texts/index';

App({
  onLaunch() {
    resume();
    wx.onNetworkStatusChange(({ isConnected }) => {
      client()?.network(isConnected);
    });
    const { tabs } = texts();
    tabs.forEach((text, index) => { wx.setTabBarItem({ index, text, fail: () => undefined }); });
  },

  onShow() {
    client()?.show();
  },

  onHide() {
    client()?.hide();
  },
});
