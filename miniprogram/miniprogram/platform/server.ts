// Which service this app talks to.

import { DEVELOPMENT_SERVER, RELEASE_SERVER } from '../config';

const KEY = 'server';

/** Whether the address may be changed: not in a version that is released. */
export function canChooseServer(): boolean {
  return wx.getAccountInfoSync().miniProgram.envVersion !== 'release';
}

/** Its address, without a slash at the end. */
export function server(): string {
  // A browser's page, or a deployer's `ext.json`, says where it is.
  const { server: given } = wx.getExtConfigSync() as { server?: string };
  if (given) return given;
  if (!canChooseServer()) return RELEASE_SERVER;
  const chosen: unknown = wx.getStorageSync(KEY);
  return typeof chosen === 'string' && chosen !== '' ? chosen : DEVELOPMENT_SERVER;
}

/** Takes what a person typed: `192.168.1.5:8080` is as good as a URL. False if it is no address. */
export function chooseServer(typed: string): boolean {
  const url = /^https?:\/\//.test(typed.trim()) ? typed.trim() : `http://${typed.trim()}`;
  const address = /^https?:\/\/[^\s/?#@]+/.exec(url)?.[0];
  if (address === undefined) return false;
  wx.setStorageSync(KEY, address);
  return true;
}
