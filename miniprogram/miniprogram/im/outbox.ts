// What is to be sent, written down before it is: it survives the app being killed.

import { MOST_ASKED_WAIT_MS, MOST_UNSENT, MOST_UNSENT_UNITS } from './limits';
import type { Outgoing } from './saved';
import type { ConversationKey } from './types';
import { toJson } from './wire';

export const createOutbox = (
  /** In the order of writing. */
  entries: readonly Outgoing[],
  /** Writes them down; false if there is no room. */
  save: (entries: readonly Outgoing[]) => boolean,
) => {
  /** On its way: one at a time, so that the service's order is the order of writing. */
  let sending: Outgoing | null = null;
  /** Nothing is sent before, in ms since 1970. */
  let notBefore = 0;

  const replace = (next: readonly Outgoing[]): void => {
    entries = next;
    save(entries);
  };
  const without = (entry: Outgoing) => entries.filter((one) => one !== entry);
  const free = (id: string): void => {
    if (sending?.id === id) sending = null;
  };

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

    /** The failed one of this `ChatItem.key`. */
    find: (key: ConversationKey, item: string): Outgoing | undefined =>
      entries.find((entry) => entry.peerId === key && entry.failure !== null && itemKey(true, entry.id) === item),

    /** It is the newest again, and to be sent; under another id if the old one cannot work. */
    resend: (entry: Outgoing, newId: string, time: number): void => {
      const id = entry.failure === 'client_msg_id_reused' ? newId : entry.id;
      replace([...without(entry), { ...entry, id, time, failure: null }]);
    },

    remove: (entry: Outgoing): void => replace(without(entry)),

    /** What is to be sent now; a time in ms since 1970 when to ask again; or null: nothing before something happens. */
    next: (now: number): Outgoing | number | null => {
      if (sending) return null;
      const entry = entries.find(({ failure }) => failure === null);
      // A clock that was set back must not hold chats up.
      return entry && now < notBefore && notBefore - now <= MOST_ASKED_WAIT_MS ? notBefore : (entry ?? null);
    },

    /** It is on its way; or with null, the socket is gone, and whether the service has it is not known. */
    send: (entry: Outgoing | null): void => {
      sending = entry;
    },

    /** The service has it. */
    settle: (id: string, key: ConversationKey, content: string): void => {
      const entry = entries.find((one) => one.id === id && one.peerId === key && one.content === content);
      if (!entry) return;
      free(id);
      // Not written down at once: should that be lost, it is sent again, which changes nothing.
      entries = without(entry);
    },

    /** The service refused it: for now, or for good. Returns where it was to go. */
    refuse: (id: string, failure: string, forGood: boolean): ConversationKey | undefined => {
      const entry = entries.find((one) => one.id === id);
      free(id);
      if (forGood && entry) replace(entries.map((one) => (one === entry ? { ...one, failure } : one)));
      return entry?.peerId;
    },

    /** Nothing is sent before `time`, in ms since 1970. */
    hold: (time: number): void => {
      notBefore = Math.max(notBefore, time);
    },
  };
};

/** The key of a bubble: the same before and after it is sent. */
export const itemKey = (mine: boolean, id: string | number): string => (mine ? 'o' : 'c') + String(id).replace(/[^A-Za-z0-9-]/g, (char) => `_${char.charCodeAt(0).toString(16)}`);
