// What is to be sent, written down before it is: it survives the app being killed.

import type { ChatItem, UserId } from './types';

/** The most chats that wait. */
const MOST = 100;
/** And the most that they take, in UTF-16 units of JSON: at most three bytes each, under 1 MB a key. */
const MOST_UNITS = 300_000;
/** The longest wait that a `retryAfterMs` can ask for. */
const MOST_WAIT_MS = 60_000;

export interface Outgoing {
  /** The `clientMsgId`: with it a repeat is the same chat. */
  readonly id: string;
  readonly peerId: UserId;
  readonly content: string;
  /** When it was written, in ms since 1970. */
  readonly time: number;
  /** The code of a final error; null while it is to be sent. */
  readonly failure: string | null;
}

export class Outbox {
  /** In the order of writing. */
  entries: readonly Outgoing[];
  /** On its way: one at a time, so that the service's order is the order of writing. */
  sending: Outgoing | null = null;
  /** Nothing is sent before, in ms since 1970. */
  private notBefore = 0;

  constructor(
    saved: readonly Outgoing[],
    /** Writes them down; false if there is no room. */
    private readonly save: (entries: readonly Outgoing[]) => boolean,
  ) {
    this.entries = saved;
  }

  add(entry: Outgoing): 'ok' | 'outbox_full' | 'storage_full' {
    const entries = [...this.entries, entry];
    if (entries.length > MOST || JSON.stringify(entries).length > MOST_UNITS) return 'outbox_full';
    if (!this.save(entries)) return 'storage_full';
    this.entries = entries;
    return 'ok';
  }

  find(peerId: UserId, key: string): Outgoing | undefined {
    return this.entries.find((entry) => entry.peerId === peerId && entry.failure !== null && itemKey(true, entry.id) === key);
  }

  /** It is the newest again, and to be sent; under another id if the old one cannot work. */
  resend(entry: Outgoing, newId: () => string, now: number): void {
    const id = entry.failure === 'client_msg_id_reused' ? newId() : entry.id;
    this.replace([...this.entries.filter((one) => one !== entry), { ...entry, id, time: now, failure: null }]);
  }

  remove(entry: Outgoing): void {
    this.replace(this.entries.filter((one) => one !== entry));
  }

  /** What is to be sent now; a time in ms since 1970 when to ask again; or null: nothing before something happens. */
  next(now: number): Outgoing | number | null {
    if (this.sending) return null;
    const entry = this.entries.find(({ failure }) => failure === null);
    const { notBefore } = this;
    // A clock that was set back must not hold chats up.
    return entry && now < notBefore && notBefore - now <= MOST_WAIT_MS ? notBefore : (entry ?? null);
  }

  /** The service has it. */
  settle(id: string, peerId: UserId, content: string): Outgoing | undefined {
    const entry = this.entries.find((one) => one.id === id && one.peerId === peerId && one.content === content);
    if (entry) {
      this.free(id);
      // Not written down at once: should that be lost, it is sent again, which changes nothing.
      this.entries = this.entries.filter((one) => one !== entry);
    }
    return entry;
  }

  /** The service refused it: for now, or for good. */
  refuse(id: string, code: string, retryAt: number | null): Outgoing | undefined {
    const entry = this.entries.find((one) => one.id === id);
    this.free(id);
    if (retryAt !== null) this.hold(retryAt);
    else if (entry) this.replace(this.entries.map((one) => (one === entry ? { ...one, failure: code } : one)));
    return entry;
  }

  /** Nothing is sent before `time`, in ms since 1970. */
  hold(time: number): void {
    this.notBefore = Math.max(this.notBefore, time);
  }

  /** The socket is gone: whether the service has what was on its way is not known. */
  lost(): void {
    this.sending = null;
  }

  private free(id: string): void {
    if (this.sending?.id === id) this.sending = null;
  }

  private replace(entries: readonly Outgoing[]): void {
    this.entries = entries;
    this.save(entries);
  }
}

/** The key of a bubble: the same before and after it is sent. */
export function itemKey(mine: boolean, id: string | number): string {
  return (mine ? 'o' : 'c') + String(id).replace(/[^A-Za-z0-9-]/g, (char) => `_${char.charCodeAt(0).toString(16)}`);
}

export function toItem(entry: Outgoing, sending: boolean): ChatItem {
  const { id, content, time, failure } = entry;
  return {
    key: itemKey(true, id),
    id: null,
    mine: true,
    content,
    time,
    status: failure !== null ? 'failed' : sending ? 'sending' : 'pending',
    failure,
    read: false,
  };
}
