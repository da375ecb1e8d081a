// Drafts: kept while the app runs, and saved with the conversation, for one's other devices too.

import type { ConversationKey, ImClient } from '../../core/index';

/** Milliseconds without a key after which a draft is saved. */
const PAUSE_MS = 3000;

/** Maximum characters that the service saves; 😀 is one. */
const MAX_CHARS = 2000;

interface Kept {
  readonly text: string;
  /** What the service had when this was written, or has since it was saved: another text is newer. */
  readonly base: string;
}

/** By account and conversation. */
const drafts = new Map<string, Kept>();

const nameOf = (client: ImClient, key: ConversationKey) => `${client.me.id} ${key}`;
const saved = (client: ImClient, key: ConversationKey) => client.conversation(key)?.draft ?? '';

/** What was being written; from another device if that is newer. */
export function draftOf(client: ImClient, key: ConversationKey): string {
  const kept = drafts.get(nameOf(client, key));
  const base = saved(client, key);
  return kept && (kept.base === base || kept.text === base) ? kept.text : base;
}

export type DraftKeeper = ReturnType<typeof createDraftKeeper>;

/** Keeps the draft of one conversation while it is open. */
export function createDraftKeeper(client: ImClient, key: ConversationKey) {
  const name = nameOf(client, key);
  /** 0: nothing waits to be saved. */
  let timer = 0;

  /** Saves what the service does not have yet. One that fails is saved with the next change, or on leaving. */
  const save = (): void => {
    clearTimeout(timer);
    timer = 0;
    const kept = drafts.get(name);
    // A conversation that has no chat yet is not known to the service.
    if (!kept || kept.text === saved(client, key) || !client.conversation(key)) return;
    const draft = Array.from(kept.text).slice(0, MAX_CHARS).join('');
    client.set(key, { draft: draft === '' ? null : draft }).then(
      () => {
        if (drafts.get(name) === kept) drafts.set(name, { ...kept, base: draft });
      },
      () => undefined,
    );
  };

  return {
    write(text: string): void {
      drafts.set(name, { text, base: saved(client, key) });
      clearTimeout(timer);
      timer = setTimeout(save, PAUSE_MS);
    },

    /** It was sent. */
    clear(): void {
      drafts.set(name, { text: '', base: saved(client, key) });
      save();
    },

    /** The page is left. */
    leave(): void {
      if (timer !== 0) save();
    },
  };
}
