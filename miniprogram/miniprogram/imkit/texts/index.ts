// The app's texts, in the phone's language.

import { ImError, type SendRefusal } from '../core/index';
import { en } from './en';
import { zh, type Texts } from './zh';

export type { Texts };

/** Chinese if the phone's language is Chinese, otherwise English. */
export function texts(): Texts {
  return wx.getAppBaseInfo().language.startsWith('zh') ? zh : en;
}

/** The message for a call that failed. */
export function sayError(error: unknown, special: Readonly<Record<string, string>> = {}): string {
  const say = texts();
  if (!(error instanceof ImError)) return say.unknownError;
  const known = special[error.code];
  if (known !== undefined) return known;
  if (error.code === 'network' || error.code === 'unavailable') return say.networkError;
  if (error.code === 'rate_limited' || error.code === 'too_many_calls') return say.tryLater;
  return say.unknownError;
}

/** Why a chat was not even put into the outbox. */
export function sayRefusal(code: SendRefusal): string {
  const { chat, unknownError } = texts();
  const { tooLong, outboxFull, storageFull } = chat;
  const words: Readonly<Record<SendRefusal, string>> = {
    blank: unknownError,
    too_long: tooLong,
    outbox_full: outboxFull,
    storage_full: storageFull,
  };
  return words[code];
}
