// Times as WeChat writes them: the more recent, the shorter.

import type { Texts } from './zh';

const DAY_MS = 86_400_000;

/** Midnights between two moments. */
function daysBetween(from: Date, to: Date): number {
  const midnight = (date: Date) => Date.UTC(date.getFullYear(), date.getMonth(), date.getDate());
  return Math.round((midnight(to) - midnight(from)) / DAY_MS);
}

function clock(date: Date): string {
  const two = (value: number) => String(value).padStart(2, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}`;
}

function day(date: Date, now: Date, { time }: Texts): string {
  const days = daysBetween(date, now);
  if (days === 0) return '';
  if (days === 1) return time.yesterday;
  if (days > 1 && days < 7) return time.weekdays[date.getDay()] ?? '';
  const [month, dayOfMonth] = [date.getMonth() + 1, date.getDate()];
  return date.getFullYear() === now.getFullYear()
    ? time.monthDay(month, dayOfMonth)
    : time.yearMonthDay(date.getFullYear(), month, dayOfMonth);
}

/** For the list: `12:30` if it was today, otherwise the day. Both are milliseconds since 1970. */
export function shortTime(at: number, now: number, say: Texts): string {
  const date = new Date(at);
  return day(date, new Date(now), say) || clock(date);
}

/** For the middle of a chat: `昨天 12:30`. */
export function longTime(at: number, now: number, say: Texts): string {
  const date = new Date(at);
  return `${day(date, new Date(now), say)} ${clock(date)}`.trim();
}
