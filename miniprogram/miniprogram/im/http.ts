// The routes of HTTP, version 1, as functions.

import type { Platform, Session } from './types';

/** Logs in by a name alone, where the service allows it. Rejects with `ImError`. */
export declare function loginDemo(platform: Platform, server: string, name: string): Promise<Session>;

/** Logs in with the code that `wx.login` gave. Rejects with `ImError`. */
export declare function loginWechat(platform: Platform, server: string, code: string): Promise<Session>;
