// The service that this app uses.

import { DEVELOPMENT_SERVER, RELEASE_SERVER } from '../config';

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

/**
 * What the user chose, if that is allowed, or the service of releases. WeChat's review opens the app as a development
 * version, so that those use it too, if there is one.
 */
export function pick(chosen: unknown, isDevelopment: boolean, release: string): string {
  if (isDevelopment && typeof chosen === 'string' && chosen !== '') return chosen;
  return release === '' && isDevelopment ? DEVELOPMENT_SERVER : release;
}

/** Takes what a person typed: a URL, or `192.168.1.5:8080`. False if it is not an address. */
export function chooseServer(typed: string): boolean {
  const url = /^https?:\/\//.test(typed.trim()) ? typed.trim() : `http://${typed.trim()}`;
  const address = /^https?:\/\/[^\s/?#@]+/.exec(url)?.[0];
  if (address === undefined) return false;
  wx.setStorageSync(KEY, address);
  return true;
}
