// The bar in which a chat is written: a field, emoji, a button, a voice, pictures. Emits `typing`, `resize` when it is
// higher or lower than before, `send` with the text, after which the page calls `clear` if the text was taken, and
// `draft` with a picture, a voice or a file to send.

import type { Draft as ChatDraft } from '../../core/index';
import { giveAll, type Chosen } from '../../media/choose';
import { texts } from '../../texts/index';
import { insert, removeBefore } from './draft';

/** Unsent drafts by `draftOf`, for as long as the app runs. */
const DRAFTS = new Map<string, string>();

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
  },

  data: {
    say: texts().chat,
    media: texts().media,
    /** A button to talk is in the place of the field. */
    isVoice: false,
    /** What the page has last put into the field. What is typed is in `DRAFTS`: drawing it again would lose keys. */
    draft: '',
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
    draftOf(draftOf: string) {
      const draft = DRAFTS.get(draftOf) ?? '';
      this.setData({ draft, cursor: null, canSend: draft.trim() !== '' });
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
      return DRAFTS.get(this.data.draftOf) ?? '';
    },

    keep(text: string) {
      DRAFTS.set(this.data.draftOf, text);
      const canSend = text.trim() !== '';
      if (canSend !== this.data.canSend) this.setData({ canSend });
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
      const { text, cursor } = insert(this.text(), this.data.cursor, detail.emoji);
      this.show(text, cursor);
    },

    onErase() {
      const { text, cursor } = removeBefore(this.text(), this.data.cursor);
      this.show(text, cursor);
    },

    /** By the button, or by the keyboard's key, which knows the text best. */
    onSend({ detail }: WechatMiniprogram.CustomEvent<{ value?: string }>) {
      const text = detail.value ?? this.text();
      this.keep(text);
      if (text.trim() !== '') this.triggerEvent('send', { text });
    },
  },
});

/** A keyboard of this height is there. */
function raised(height: number): { keyboardHeight?: number; lastHeight?: number } {
  return height > 0 ? { keyboardHeight: height, lastHeight: height } : {};
}
