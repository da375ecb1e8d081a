// Checks ids from frames, answers, and the parameters of pages.

import type { ChatId, UserId } from './types';

/** Takes an integer from 1 to 2^53-1, or its decimal digits (a page's parameter). Null for anything else. */
export const toUserId = (value: unknown): UserId | null => {
  const id = typeof value === 'string' && /^[1-9]\d*$/.test(value) ? Number(value) : value;
  return isId(id) ? (id as UserId) : null;
};

/** Whether this is a valid id. */
export const isId = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) > 0;

/** The later one of two chats; 0 is before all. */
export const later = (a: ChatId | 0, b: ChatId | 0): ChatId | 0 => a > b ? a : b;

/** The last entry of a list. */
export const lastOf = <T>(list: readonly T[]): T | undefined => list[list.length - 1];
