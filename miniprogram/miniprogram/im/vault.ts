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

export class Vault {
  private readonly prefix: string;
  /** Whose chats are kept; the most recently opened last. */
  private logs: readonly UserId[];

  constructor(
    private readonly storage: Storage,
    server: string,
    userId: UserId,
    /** Caches were given up; whether what was to be written has found room. */
    private readonly full: (written: boolean) => void,
  ) {
    this.prefix = `im1|${server}|${userId}|`;
    this.logs = (this.read('logs') as UserId[] | null) ?? [];
  }

  cursor(): Cursor | null {
    return this.read('cursor') as Cursor | null;
  }

  outbox(): readonly Outgoing[] {
    return (this.read('outbox') as Outgoing[] | null) ?? [];
  }

  list(): SavedList | null {
    return this.read('list') as SavedList | null;
  }

  log(peerId: UserId): SavedLog | null {
    return this.read(`log.${peerId}`) as SavedLog | null;
  }

  saveOutbox(entries: readonly Outgoing[]): boolean {
    return this.write('outbox', entries);
  }

  saveList(list: SavedList): boolean {
    return this.write('list', list);
  }

  saveCursor(cursor: Cursor): boolean {
    return this.write('cursor', cursor);
  }

  /** Keeps the newest chats; fewer if they are long. */
  saveLog(peerId: UserId, log: SavedLog): boolean {
    let chats = log.chats.slice(-MOST_SAVED_CHATS);
    while (JSON.stringify(chats).length > MOST_UNITS) chats = chats.slice(Math.ceil(chats.length / 2));
    // First the name, then the thing: what has no name would never be removed.
    const others = this.logs.filter((id) => id !== peerId);
    this.forget(others.slice(0, -(MOST_LOGS - 1)));
    this.logs = [...others.slice(-(MOST_LOGS - 1)), peerId];
    const hasMore = log.hasMore || chats.length < log.chats.length;
    const written = this.write('logs', this.logs) && this.write(`log.${peerId}`, { ...log, chats, hasMore });
    // Making room may have given up this one's name.
    if (!this.logs.includes(peerId)) this.forget([peerId]);
    return written;
  }

  /** Removes what can be loaded again. */
  forgetCaches(): void {
    this.forget(this.logs);
    this.logs = [];
    for (const key of ['list', 'cursor', 'logs']) this.storage.remove(this.prefix + key);
  }

  forgetOutbox(): void {
    this.storage.remove(`${this.prefix}outbox`);
  }

  private forget(peerIds: readonly UserId[]): void {
    for (const id of peerIds) this.storage.remove(`${this.prefix}log.${id}`);
  }

  /** What this file has written; null if it is not there, or torn. */
  private read(key: string): unknown {
    const text = this.storage.get(this.prefix + key);
    return (text === undefined ? null : parse(text)) ?? null;
  }

  /** Gives up caches, the oldest first, until there is room. */
  private write(key: string, value: unknown): boolean {
    const text = JSON.stringify(value);
    let evicted = false;
    for (;;) {
      try {
        this.storage.set(this.prefix + key, text);
        if (evicted) this.full(true);
        return true;
      } catch {
        const oldest = this.logs[0];
        if (oldest === undefined) {
          this.full(false);
          return false;
        }
        this.forget([oldest]);
        this.logs = this.logs.slice(1);
        evicted = true;
      }
    }
  }
}
