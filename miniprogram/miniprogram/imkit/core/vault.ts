// Stores an account's state, within the platform's limits: 1 MB a key, 10 MB in all.

import { MOST_SAVED_CHATS, MOST_SAVED_LOGS, MOST_SAVED_UNITS } from './limits';
import type { Storage } from './platform';
import type { Saved, SavedLog } from './saved';
import type { ConversationKey, UserId } from './types';
import { parse, toJson } from './wire';

export type Vault = ReturnType<typeof createVault>;

export const createVault = (
  storage: Storage,
  server: string,
  userId: UserId,
  /** Storage was full; whether there was room for the value after caches were removed. */
  full: (written: boolean) => void,
) => {
  const name = (key: keyof Saved) => `im2|${server}|${userId}|${key}`;
  const remove = (...keys: readonly (keyof Saved)[]): void => {
    for (const key of keys) storage.remove(name(key));
  };
  const forget = (keys: readonly ConversationKey[]): void => remove(...keys.map((key) => `log.${key}` as const));

  /** The stored value; null if it is absent or damaged. */
  const read = <K extends keyof Saved>(key: K): Saved[K] | null =>
    (parse(storage.get(name(key)) ?? '') as Saved[K] | undefined) ?? null;

  let logs = read('logs') ?? [];

  /** Removes caches, the oldest first, until there is room. False if there is none. */
  const write = <K extends keyof Saved>(key: K, value: Saved[K]): boolean => {
    const text = toJson(value);
    for (let evicted = false; ; evicted = true) {
      try {
        storage.set(name(key), text);
        if (evicted) full(true);
        return true;
      } catch {
        if (!logs.length) {
          full(false);
          return false;
        }
        forget(logs.splice(0, 1));
      }
    }
  };

  return {
    read,
    write,
    remove,

    /** Stores the newest chats; fewer if they are long. */
    saveLog: (key: ConversationKey, log: SavedLog): void => {
      let chats = log.chats.slice(-MOST_SAVED_CHATS);
      while (toJson(chats).length > MOST_SAVED_UNITS) chats = chats.slice(Math.ceil(chats.length / 2));
      // First the name, then the chats: without its name a log would never be removed.
      logs = [...logs.filter((other) => other !== key), key];
      forget(logs.splice(0, logs.length - MOST_SAVED_LOGS));
      const hasMore = log.hasMore || chats.length < log.chats.length;
      if (write('logs', logs)) write(`log.${key}`, { ...log, chats, hasMore });
      // Making room may have removed this log's name.
      if (!logs.includes(key)) forget([key]);
    },

    /** The conversations with stored chats. */
    logs: (): readonly ConversationKey[] => logs,

    /** Removes the chats of a conversation. Its name stays, as one of a log that is not there. */
    forgetLog: (key: ConversationKey): void => forget([key]),

    /** Removes what can be loaded again. */
    forgetCaches: (): void => {
      forget(logs);
      logs = [];
      remove('list', 'cursor', 'logs');
    },
  };
};
