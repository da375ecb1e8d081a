// Use case: a chat is written: with a quote, with mentions, as a draft.

import { tell } from '../../ask';
import type { ChatItem, Quote } from '../../core/index';
import { quotedText } from '../../lists/rows';
import { sayRefusal, texts } from '../../texts/index';
import { open, type Chat } from './chat';
import { createDraftKeeper, draftOf, mentionsOfDraft, quoteOfDraft } from './drafts';
import { isCall, mentionsIn, withoutMention } from './mentions';
import { quoteOf } from './quote';
import { askMention } from './sheets';

/** The next chat quotes this one. */
export function quote(chat: Chat, item: ChatItem): void {
  const quoted = quoteOf(item);
  if (!quoted) return;
  chat.data.keeper?.quote(quoted);
  showQuote(chat, quoted);
  chat.composer().focus();
}

function unquote(chat: Chat): void {
  chat.data.keeper?.quote(null);
  showQuote(chat, null);
}

function showQuote(chat: Chat, quoted: Quote | null): void {
  chat.data.quote = quoted;
  const quoting = quoted ? quotedText(quoted, texts()) : '';
  if (chat.data.quoting !== quoting) chat.setData({ quoting });
}

/** What was being written in the conversation that was opened. */
export function beginDraft(chat: Chat): string {
  const opened = open(chat);
  if (!opened) return '';
  endDraft(chat);
  chat.data.keeper = createDraftKeeper(opened.client, opened.key);
  chat.data.mentions = mentionsOfDraft(opened.client, opened.key);
  showQuote(chat, quoteOfDraft(opened.client, opened.key));
  const draft = draftOf(opened.client, opened.key);
  chat.data.written = draft;
  return draft;
}

/** A draft that another device has saved is shown, unless something is being written here. */
export function takeDraft(chat: Chat): void {
  const draft = chat.data.keeper?.news() ?? '';
  if (chat.data.written === '' && draft !== '' && chat.composer().fill(draft)) chat.data.written = draft;
}

/** Saves the draft: the page is left, or hidden. */
export function endDraft(chat: Chat): void {
  chat.data.keeper?.leave(chat.data.mentions);
}

/** Methods of the component. */
export const writing = {
  onUnquote(this: Chat) {
    unquote(this);
  },

  onWrite(this: Chat, { detail }: WechatMiniprogram.CustomEvent<{ text: string; cursor: number }>) {
    const { text, cursor } = detail;
    const before = this.data.written;
    this.data.written = text;
    const rest = withoutMention(before, text, cursor, this.data.mentions);
    if (rest) {
      this.composer().replace(rest.text, rest.cursor);
      return;
    }
    const isTyped = text.length > before.length;
    this.data.keeper?.write(text);
    if (isTyped && typeof this.key() === 'string' && isCall(text, cursor)) askMention(this);
  },

  onSend(this: Chat, { detail }: WechatMiniprogram.CustomEvent<{ text: string }>) {
    const opened = open(this);
    if (!opened) return;
    const { quote: replyTo, mentions: chosen } = this.data;
    const mentions = mentionsIn(detail.text, chosen);
    const draft = { content: detail.text, ...(replyTo && { replyTo }), ...(mentions && { mentions }) };
    const result = opened.client.send(opened.key, draft);
    if (!result.ok) {
      tell(sayRefusal(result.code));
      return;
    }
    this.composer().clear();
    this.data.written = '';
    this.data.mentions = [];
    unquote(this);
    this.data.keeper?.clear();
    this.onNewest();
    this.renewNotice();
  },
};
