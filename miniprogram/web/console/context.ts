// What every part of the console works with: the language, the API, the key, and how to say and to ask things.

import { createContext } from 'preact';
import { useContext } from 'preact/hooks';

import { Fault, allows, type Api, type Key, type Scope } from './api';
import type { Question } from './question';
import type { Words } from './words';

export const TABS = [
  'overview',
  'held',
  'reports',
  'people',
  'conversations',
  'webhooks',
  'keys',
  'audit',
] as const;

export type Tab = (typeof TABS)[number];

export interface Console {
  words: Words;
  api: Api;
  key: Key;
  /** Says something in passing. */
  tell: (text: string) => void;
  /** Asks before something is done; `undefined`: no. */
  ask: (question: Question) => Promise<Record<string, string> | undefined>;
  /** Opens the tab of people at one, or that of conversations at one. */
  open: (tab: 'people' | 'conversations', id: number) => void;
  signOut: () => void;
}

export const ConsoleContext = createContext<Console | undefined>(undefined);

export function useConsole(): Console & { can: (scope: Scope) => boolean } {
  const found = useContext(ConsoleContext);
  if (!found) throw new Error('outside the console');
  return { ...found, can: (scope) => allows(found.key, scope) };
}

/** What went wrong, in words. */
export function inWords(words: Words, error: unknown): { text: string; detail: string } {
  const fault = error instanceof Fault ? error : new Fault('internal', String(error));
  return { text: words.faults[fault.code] ?? words.fault(fault.code), detail: fault.detail };
}

/** A time as people read it here. */
export function timeOf(words: Words, time: string): string {
  const format = { dateStyle: 'short', timeStyle: 'medium', hour12: false } as const;
  return new Intl.DateTimeFormat(words.lang === 'en' ? 'en-GB' : words.lang, format).format(new Date(time));
}
