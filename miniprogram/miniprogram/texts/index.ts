// What the app says, in the phone's language.

import { ImError } from '../im/index';
import { en } from './en';
import { zh, type Texts } from './zh';

export type { Texts };

/** Chinese where the phone speaks Chinese, English everywhere else. */
export function texts(): Texts {
  return wx.getAppBaseInfo().language.startsWith('zh') ? zh : en;
}

/** What to tell a person about a call that did not succeed. */
export function sayError(error: unknown, special: Readonly<Record<string, string>> = {}): string {
  const say = texts();
  if (!(error instanceof ImError)) return say.unknownError;
  const known = special[error.code];
  if (known !== undefined) return known;
  if (error.code === 'network' || error.code === 'unavailable') return say.networkError;
  if (error.code === 'rate_limited' || error.code === 'too_many_calls') return say.tryLater;
  return say.unknownError;
}
