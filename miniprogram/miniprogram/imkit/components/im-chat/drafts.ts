// Drafts: kept while the app runs, and saved with the conversation, for one's other devices too.

import type { ConversationKey, ImClient, Quote } from '../../core/index';
import type { Mention } from './mentions';

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

/** What this phone has saved: if the service tells of it later, it is no news. */
const own = new Map<string, string[]>();

/** What drafts quote, and whom they call. The service saves their words alone. */
const quotes = new Map<string, Quote>();
const calls = new Map<string, readonly Mention[]>();

const nameOf = (client: ImClient, key: ConversationKey) => `${client.me.id} ${key}`;
const saved = (client: ImClient, key: ConversationKey) => client.conversation(key)?.draft ?? '';

/** What was being written; from another device if that is newer. */
export function draftOf(client: ImClient, key: ConversationKey): string {
  const name = nameOf(client, key);
  const kept = drafts.get(name);
  const base = saved(client, key);
  return kept && [kept.base, kept.text, ...(own.get(name) ?? [])].includes(base) ? kept.text : base;
}

/** What the draft quotes, unless that was taken back. */
export function quoteOfDraft(client: ImClient, key: ConversationKey): Quote | null {
  const quote = quotes.get(nameOf(client, key)) ?? null;
  return client.chats(key).items.find(({ id }) => id === quote?.id)?.recalled ? null : quote;
}

/** Whom the draft calls, or did before words were taken back. */
export function mentionsOfDraft(client: ImClient, key: ConversationKey): readonly Mention[] {
  return calls.get(nameOf(client, key)) ?? [];
}

export type DraftKeeper = ReturnType<typeof createDraftKeeper>;

/** Keeps the draft of one conversation while it is open. */
export function createDraftKeeper(client: ImClient, key: ConversationKey) {
  const name = nameOf(client, key);
  /** What the service had when one looked last. */
  let seen = saved(client, key);
  let timer = 0;
  /** Something was written that the service is not known to have. */
  let isUnsaved = false;

  /** Saves what the service does not have yet. One that fails is saved with the next change, or on leaving. */
  const save = (): void => {
    clearTimeout(timer);
    const kept = drafts.get(name);
    // A conversation that has no chat yet is not known to the service.
    if (!kept || !client.conversation(key)) return;
    const draft = Array.from(kept.text).slice(0, MAX_CHARS).join('');
    const mine = own.get(name) ?? [];
    isUnsaved = false;
    if (draft === saved(client, key) && draft === (mine[mine.length - 1] ?? draft)) return;
    own.set(name, [...mine, draft]);
    client.set(key, { draft: draft === '' ? null : draft }).then(
      () => {
        if (drafts.get(name) === kept) drafts.set(name, { ...kept, base: draft });
      },
      () => {
        isUnsaved = true;
      },
    );
  };

  return {
    write(text: string): void {
      drafts.set(name, { text, base: saved(client, key) });
      isUnsaved = true;
      clearTimeout(timer);
      timer = setTimeout(save, PAUSE_MS);
    },

    /** The draft that another device has saved since one looked last; empty if none has. */
    news(): string {
      if (saved(client, key) === seen) return '';
      seen = saved(client, key);
      return draftOf(client, key);
    },

    quote(quote: Quote | null): void {
      if (quote) quotes.set(name, quote);
      else quotes.delete(name);
    },

    /** It was sent. */
    clear(): void {
      drafts.set(name, { text: '', base: saved(client, key) });
      save();
    },

    /** The page is left, with a draft that calls these. */
    leave(mentions: readonly Mention[]): void {
      calls.set(name, mentions);
      if (isUnsaved) save();
    },
  };
}
