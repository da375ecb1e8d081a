// Checks and compares ids.

import type { ChatId } from './types';

/** Whether this is a valid id. */
export const isId = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) > 0;

/** The later one of two chats; 0 is before all. */
export const later = (a: ChatId | 0, b: ChatId | 0): ChatId | 0 => a > b ? a : b;

/** The last entry of a list. */
export const lastOf = <T>(list: readonly T[]): T | undefined => list[list.length - 1];
