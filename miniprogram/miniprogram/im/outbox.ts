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

    /** The failed entry with this `ChatItem.key`. */
    find: (key: ConversationKey, item: string): Outgoing | undefined =>
      entries.find((entry) => entry.peerId === key && entry.failure !== null && itemKey(true, entry.id) === item),

    /** Sends a failed entry again, as the newest; under a new id if the old one cannot work. */
    resend: (entry: Outgoing, newId: string, time: number): void => {
      const id = entry.failure === 'client_msg_id_reused' ? newId : entry.id;
      replace([...without(entry), { ...entry, id, time, failure: null }]);
    },

    remove: (entry: Outgoing): void => replace(without(entry)),

    /** The entry to send now; or a time in ms since 1970 when to ask again; or null: nothing to send. */
    next: (now: number): Outgoing | number | null => {
      if (sending) return null;
      const entry = entries.find(({ failure }) => failure === null);
      // A clock that was set back must not delay chats.
      return entry && now < notBefore && notBefore - now <= MOST_ASKED_WAIT_MS ? notBefore : (entry ?? null);
    },

    /** The entry is in flight; null: the socket is gone, and it is unknown whether the service has the chat. */
    send: (entry: Outgoing | null): void => {
      sending = entry;
    },

    /** The service has the chat. */
    settle: (id: string, key: ConversationKey, content: string): void => {
      const entry = entries.find((one) => one.id === id && one.peerId === key && one.content === content);
      if (!entry) return;
      free(id);
      // Not stored at once: if this change is lost, the chat is sent again, which does no harm.
      entries = without(entry);
    },

    /** The service refused it: for now, or for good. Returns its conversation. */
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

/** The `ChatItem.key`: the same before and after the chat is sent. */
export const itemKey = (mine: boolean, id: string | number): string => (mine ? 'o' : 'c') + String(id).replace(/[^A-Za-z0-9-]/g, (char) => `_${char.charCodeAt(0).toString(16)}`);
