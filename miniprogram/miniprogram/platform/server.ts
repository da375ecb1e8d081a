// The service that this app uses.

import { RELEASE_SERVER } from '../config';
import { pick } from './pick';

const KEY = 'server';

/** Whether the user may change the address: not in a released version. */
export function canChooseServer(): boolean {
  return wx.getAccountInfoSync().miniProgram.envVersion !== 'release';
}

/** Its address, without a slash at the end. */
export function server(): string {
  // A browser's page or an `ext.json` may set it.
  const { server: given } = wx.getExtConfigSync() as { server?: string };
  if (given) return given;
  return pick(wx.getStorageSync(KEY), canChooseServer(), RELEASE_SERVER);
}

/** Takes what a person typed: a URL, or `192.168.1.5:8080`. False if it is not an address. */
export function chooseServer(typed: string): boolean {
  const url = /^https?:\/\//.test(typed.trim()) ? typed.trim() : `http://${typed.trim()}`;
  const address = /^https?:\/\/[^\s/?#@]+/.exec(url)?.[0];
  if (address === undefined) return false;
  wx.setStorageSync(KEY, address);
  return true;
}
