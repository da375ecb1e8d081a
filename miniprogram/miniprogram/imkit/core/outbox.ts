// Unsent chats, stored before they are sent, so that they survive the app being killed.

import { MOST_ASKED_WAIT_MS, MOST_UNSENT, MOST_UNSENT_UNITS } from './limits';
import type { Outgoing } from './saved';
import type { ConversationKey } from './types';
import { toJson } from './wire';

export const createOutbox = (
  /** In the order of writing. */
  entries: readonly Outgoing[],
  /** Stores them; false if there is no room. */
  save: (entries: readonly Outgoing[]) => boolean,
) => {
  /** The chat in flight: one at a time, so that the service's order is the order of writing. */
  let sending: Outgoing | null = null;
  /** Nothing is sent before this time, in ms since 1970. */
  let notBefore = 0;

  const replace = (next: readonly Outgoing[]): void => {
    entries = next;
    save(entries);
  };
  const without = (entry: Outgoing) => entries.filter((one) => one !== entry);
  const waits = ({ failure, held }: Outgoing): boolean => failure === null && !held;

  return {
    /** In the order of writing. */
    all: () => entries,
    sending: () => sending,

    add: (entry: Outgoing): 'outbox_full' | 'storage_full' | null => {
      const next = [...entries, entry];
      if (next.length > MOST_UNSENT || toJson(next).length > MOST_UNSENT_UNITS) return 'outbox_full';
      if (!save(next)) return 'storage_full';
      entries = next;
      return null;
    },

    /** The entry with this `ChatItem.key`, unless it is in flight. */
    find: (key: ConversationKey, item: string): Outgoing | undefined =>
      entries.find((entry) => entry.peerId === key && entry !== sending && itemKey(true, entry.id) === item),

    /** Sends a failed entry again, as the newest, with a new upload. Under a new id: the old one may be refused for days. */
    resend: (entry: Outgoing, id: string, time: number): void => {
      const body = entry.file ? null : entry.body;
      replace([...without(entry), { ...entry, id, time, body, failure: null, detail: '' }]);
    },

    remove: (entry: Outgoing): void => replace(without(entry)),

    /** The next file to upload. */
    toUpload: () => entries.find((entry): entry is Outgoing & { file: string } => waits(entry) && !!entry.file && !entry.body),

    /**
     * The entry to send now; or a time in ms since 1970 when to ask again; or null: nothing to send. Chats of a
     * conversation wait for its uploads.
     */
    next: (now: number): Outgoing | number | null => {
      if (sending) return null;
      const uploads = new Set<ConversationKey>();
      const entry = entries.find((one) => {
        const { peerId, file, body } = one;
        if (!waits(one)) return false;
        if (file && !body) uploads.add(peerId);
        return !uploads.has(peerId);
      });
      // A clock that was set back must not delay chats.
      return entry && now < notBefore && notBefore - now <= MOST_ASKED_WAIT_MS ? notBefore : (entry ?? null);
    },

    /** The entry is in flight; null: the socket is gone, and it is unknown whether the service has the chat. */
    send: (entry: Outgoing | null): void => {
      sending = entry;
    },

    /**
     * It was answered, or its file was. What the answer changes for good is in `part`; null: the service has the chat.
     * Returns its conversation, if it was unsent.
     */
    answer: (id: string, part?: Partial<Outgoing> | null | false): ConversationKey | undefined => {
      if (sending?.id === id) sending = null;
      const entry = entries.find((one) => one.id === id);
      // Not stored at once: if this change is lost, the chat is sent again, which does no harm.
      if (part === null && entry) entries = without(entry);
      if (part && entry?.failure === null) replace(entries.map((one) => (one === entry ? { ...one, ...part } : one)));
      return entry?.peerId;
    },

    /** Events may have been missed that tell what became of held chats: a repeat tells it too. */
    ask: (): void => replace(entries.map((one) => (one.held ? { ...one, held: false } : one))),

    /** Nothing is sent before `time`, in ms since 1970. */
    hold: (time: number): void => {
      notBefore = time;
    },
  };
};

/** The `ChatItem.key`: the same before and after the chat is sent. */
export const itemKey = (mine: boolean, id: string | number): string => (mine ? 'o' : 'c') + String(id).replace(/[^A-Za-z0-9-]/g, (char) => `_${char.charCodeAt(0).toString(16)}`);
