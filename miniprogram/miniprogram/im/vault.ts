// What survives the app being killed, for each account: 1 MB a key, 10 MB in all.

import { parse } from './wire';
import type { SavedLog } from './chatlog';
import type { SavedList } from './conversations';
import type { Outgoing } from './outbox';
import type { Storage, UserId } from './types';

/** The most conversations whose newest chats are kept; the one that was opened longest ago goes first. */
const MOST_LOGS = 30;
/** The most chats of one that are kept, and the most UTF-16 units of JSON that they take. */
export const MOST_SAVED_CHATS = 60;
const MOST_UNITS = 60_000;

/** The place in the timeline up to which all is applied and written down. */
export interface Cursor {
  readonly seq: number;
  readonly epoch: string;
}

/** What is kept under which key. */
interface Saved {
  readonly cursor: Cursor;
  readonly outbox: readonly Outgoing[];
  readonly list: SavedList;
  /** Whose chats are kept; the most recently opened last. */
  readonly logs: readonly UserId[];
  readonly [log: `log.${UserId}`]: SavedLog;
}

export type Vault = ReturnType<typeof createVault>;

export function createVault(
  storage: Storage,
  server: string,
  userId: UserId,
  /** Caches were given up; whether what was to be written has found room. */
  full: (written: boolean) => void,
) {
  const name = (key: keyof Saved) => `im2|${server}|${userId}|${key}`;
  const remove = (...keys: readonly (keyof Saved)[]): void => {
    for (const key of keys) storage.remove(name(key));
  };
  const forget = (peerIds: readonly UserId[]): void => {
    remove(...peerIds.map((id) => `log.${id}` as const));
  };

  /** What this file has written; null if it is not there, or torn. */
  const read = <K extends keyof Saved>(key: K): Saved[K] | null =>
    (parse(storage.get(name(key)) ?? '') as Saved[K] | undefined) ?? null;

  let logs = read('logs') ?? [];

  /** Gives up caches, the oldest first, until there is room. */
  const write = <K extends keyof Saved>(key: K, value: Saved[K]): boolean => {
    const text = JSON.stringify(value);
    for (let evicted = false; ; evicted = true) {
      try {
        storage.set(name(key), text);
        if (evicted) full(true);
        return true;
      } catch {
        if (logs.length === 0) {
          full(false);
          return false;
        }
        forget(logs.slice(0, 1));
        logs = logs.slice(1);
      }
    }
  };

  return {
    read,
    write,
    remove,

    /** Keeps the newest chats; fewer if they are long. */
    saveLog: (peerId: UserId, log: SavedLog): void => {
      let chats = log.chats.slice(-MOST_SAVED_CHATS);
      while (JSON.stringify(chats).length > MOST_UNITS) chats = chats.slice(Math.ceil(chats.length / 2));
      // First the name, then the thing: what has no name would never be removed.
      const others = logs.filter((id) => id !== peerId);
      forget(others.slice(0, 1 - MOST_LOGS));
      logs = [...others.slice(1 - MOST_LOGS), peerId];
      const hasMore = log.hasMore || chats.length < log.chats.length;
      if (write('logs', logs)) write(`log.${peerId}`, { ...log, chats, hasMore });
      // Making room may have given up this one's name.
      if (!logs.includes(peerId)) forget([peerId]);
    },

    /** Removes what can be loaded again. */
    forgetCaches: (): void => {
      forget(logs);
      logs = [];
      remove('list', 'cursor', 'logs');
    },
  };
}
