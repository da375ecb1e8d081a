// The bar in which a chat is written: a field, emoji, a button, a voice, pictures, and what is quoted. Emits `typing`,
// `write` with the text and the cursor after each change, `unquote`, `resize` when it is higher or lower than before, `send`
// with the text, after which the page calls `clear` if the text was taken, and `draft` with a picture, a voice or a
// file to send.

import { tell } from '../../ask';
import type { Draft as ChatDraft } from '../../core/index';
import { giveAll, type Chosen } from '../../media/choose';
import { texts } from '../../texts/index';
import { insert, removeBefore } from './draft';

/** Maximum characters of a chat; 😀 is one. */
const MAX_CHARS = 2000;

/** From here on the number of characters is shown. */
const SHOWN_FROM = 1900;

/** Characters, as the service counts them. */
function lengthOf(text: string): number {
  return text.length < SHOWN_FROM ? text.length : Array.from(text).length;
}

/** The panel that is open, if one is. */
type Panel = '' | 'emoji' | 'attach';

/** What is below the field: nothing, a keyboard, or a panel as high as the keyboard was last. */
function floor(hasPanel: boolean, keyboardHeight: number, lastHeight: number): string {
  const pixels = hasPanel ? lastHeight : keyboardHeight;
  if (pixels > 0) return `height: ${pixels}px`;
  return hasPanel ? 'height: 480rpx' : '';
}

Component({
  properties: {
    /** What the draft belongs to. */
    draftOf: { type: String, value: '' },
    /** The draft when that was opened. */
    start: { type: String, value: '' },
    /** The words that the chat will quote; empty if none. */
    quote: { type: String, value: '' },
  },

  data: {
    say: texts().chat,
    media: texts().media,
    /** A button to talk is in the place of the field. */
    isVoice: false,
    unquote: texts().menu.unquote,
    /** What the page has last put into the field. What is typed is in `typed`: drawing it again would lose keys. */
    draft: '',
    typed: '',
    /** Shown near the limit; empty before that. */
    count: '',
    isOver: false,
    canSend: false,
    panel: '',
    hasFocus: false,
    keyboardHeight: 0,
    /** In pixels; 0 before the first. */
    lastHeight: 0,
    floor: '',
    /** Where the next emoji is inserted; null: at the end. */
    cursor: null as number | null,
  },

  observers: {
    'draftOf, start'(_draftOf: string, start: string) {
      this.show(start, null);
    },

    quote() {
      // Once it is drawn.
      wx.nextTick(() => {
        this.onHeight();
      });
    },
  },

  methods: {
    /** Empties the field. */
    clear() {
      this.show('', null);
    },

    /** Closes the panel and the keyboard. */
    rest() {
      if (this.data.panel || this.data.hasFocus) this.stand({ panel: '', hasFocus: false });
    },

    text(): string {
      return this.data.typed;
    },

    keep(text: string) {
      this.data.typed = text;
      const canSend = text.trim() !== '';
      if (canSend !== this.data.canSend) this.setData({ canSend });
      this.limit(lengthOf(text));
    },

    /** Shows how long the text is, once it is near the limit; nothing is cut. */
    limit(length: number) {
      const count = length < SHOWN_FROM ? '' : `${length}/${MAX_CHARS}`;
      if (count === this.data.count) return;
      const isOver = length > MAX_CHARS;
      if (isOver && !this.data.isOver) tell(texts().menu.tooLong(length - MAX_CHARS));
      this.setData({ count, isOver });
    },

    /** Tells of a change. */
    wrote() {
      this.triggerEvent('write', { text: this.data.typed, cursor: this.data.cursor ?? this.data.typed.length });
    },

    /** Inserts something at the cursor. */
    insert(piece: string) {
      const { text, cursor } = insert(this.text(), this.data.cursor, piece);
      this.replace(text, cursor);
    },

    /** Puts other words into the field, and tells of it. */
    replace(text: string, cursor: number) {
      this.show(text, cursor);
      this.wrote();
    },

    /** Shows words that come from elsewhere. False if it has the focus, or words already: then it stays as it is. */
    fill(text: string): boolean {
      if (this.data.hasFocus || this.data.typed !== '') return false;
      this.show(text, null);
      return true;
    },

    /** Opens the keyboard. */
    focus() {
      this.setData({ isVoice: false, hasFocus: true });
    },

    /** Replaces what is in the field. */
    show(draft: string, cursor: number | null) {
      // WeChat draws a value only if it is another one than the page has set last.
      if (this.data.draft === draft) this.setData({ draft: this.text() });
      this.keep(draft);
      this.setData({ draft, cursor });
    },

    /** Changes what is below the field, and says so. */
    stand(change: { panel?: Panel; hasFocus?: boolean; keyboardHeight?: number; lastHeight?: number }) {
      const { panel, keyboardHeight, lastHeight } = { ...this.data, ...change };
      this.setData({ ...change, floor: floor(panel !== '', keyboardHeight, lastHeight) }, () => {
        this.onHeight();
      });
    },

    onHeight() {
      this.triggerEvent('resize');
    },

    onInput({ detail }: WechatMiniprogram.TextareaInput) {
      this.keep(detail.value);
      this.data.cursor = detail.cursor;
      this.wrote();
      if (detail.value !== '') this.triggerEvent('typing');
    },

    onFocus({ detail }: WechatMiniprogram.TextareaFocus) {
      this.stand({ panel: '', hasFocus: true, ...raised(detail.height) });
    },

    onBlur({ detail }: WechatMiniprogram.TextareaBlur) {
      const { cursor = this.data.cursor } = detail as { cursor?: number };
      this.setData({ hasFocus: false, cursor });
    },

    onKeyboard({ detail }: WechatMiniprogram.TextareaKeyboardHeightChange) {
      this.stand(detail.height > 0 ? { panel: '', ...raised(detail.height) } : { keyboardHeight: 0 });
    },

    /** The panel takes the keyboard's place before that goes, and goes when the keyboard is there. */
    toggle(panel: Panel) {
      if (this.data.isVoice) this.setData({ isVoice: false });
      if (this.data.panel === panel) this.setData({ hasFocus: true });
      else this.stand({ panel, hasFocus: false });
    },

    onEmojiPanel() {
      this.toggle('emoji');
    },

    onAttachPanel() {
      this.toggle('attach');
    },

    onVoice() {
      const isVoice = !this.data.isVoice;
      this.setData({ isVoice });
      this.stand({ panel: '', hasFocus: !isVoice });
    },

    /** Something that is no text. */
    onDraft({ detail }: WechatMiniprogram.CustomEvent<{ draft: ChatDraft }>) {
      this.triggerEvent('draft', detail);
    },

    /** Pasted or dropped, in a browser. */
    onFiles({ detail }: WechatMiniprogram.CustomEvent<{ tempFiles: Chosen[] }>) {
      void giveAll(detail.tempFiles, (draft) => {
        this.triggerEvent('draft', { draft });
      });
    },

    onEmoji({ detail }: WechatMiniprogram.CustomEvent<{ emoji: string }>) {
      this.insert(detail.emoji);
    },

    onErase() {
      const { text, cursor } = removeBefore(this.text(), this.data.cursor);
      this.replace(text, cursor);
    },

    onUnquote() {
      this.triggerEvent('unquote');
    },

    /** By the button, or by the keyboard's key, which knows the text best. */
    onSend({ detail }: WechatMiniprogram.CustomEvent<{ value?: string }>) {
      const text = detail.value ?? this.text();
      this.keep(text);
      const over = lengthOf(text) - MAX_CHARS;
      if (over > 0) tell(texts().menu.tooLong(over));
      else if (text.trim() !== '') this.triggerEvent('send', { text });
    },
  },
});

/** A keyboard of this height is there. */
function raised(height: number): { keyboardHeight?: number; lastHeight?: number } {
  return height > 0 ? { keyboardHeight: height, lastHeight: height } : {};
}
