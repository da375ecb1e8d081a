// The bar in which a chat is written: a field, emoji, a button. Emits `typing`, `resize` when it is higher or lower
// than before, and `send` with the text, after which the page calls `clear` if the text was taken.

import { texts } from '../../texts/index';
import { insert, removeBefore } from './draft';

/** Unsent drafts by `draftOf`, for as long as the app runs. */
const DRAFTS = new Map<string, string>();

Component({
  properties: {
    /** What the draft belongs to. */
    draftOf: { type: String, value: '' },
  },

  data: {
    say: texts().chat,
    draft: '',
    canSend: false,
    panel: false,
    hasFocus: false,
    keyboardHeight: 0,
    /** Where the next emoji is inserted; null: at the end. */
    cursor: null as number | null,
  },

  observers: {
    draftOf(draftOf: string) {
      this.show(DRAFTS.get(draftOf) ?? '', null);
    },
  },

  methods: {
    /** Empties the field. */
    clear() {
      this.write('', null);
    },

    /** Closes the panel and the keyboard. */
    rest() {
      if (this.data.panel || this.data.hasFocus) this.setData({ panel: false, hasFocus: false });
    },

    show(draft: string, cursor: number | null) {
      this.setData({ draft, cursor, canSend: draft.trim() !== '' });
    },

    write(draft: string, cursor: number | null) {
      DRAFTS.set(this.data.draftOf, draft);
      this.show(draft, cursor);
    },

    onHeight() {
      this.triggerEvent('resize');
    },

    onInput({ detail }: WechatMiniprogram.TextareaInput) {
      this.write(detail.value, detail.cursor);
      if (detail.value !== '') this.triggerEvent('typing');
    },

    onFocus() {
      this.setData({ panel: false, hasFocus: true });
      this.onHeight();
    },

    onBlur({ detail }: WechatMiniprogram.TextareaBlur) {
      const { cursor = this.data.cursor } = detail as { cursor?: number };
      this.setData({ hasFocus: false, cursor });
    },

    onKeyboard({ detail }: WechatMiniprogram.TextareaKeyboardHeightChange) {
      this.setData({ keyboardHeight: detail.height });
      this.onHeight();
    },

    onPanel() {
      const panel = !this.data.panel;
      this.setData({ panel, hasFocus: !panel }, () => {
        this.onHeight();
      });
    },

    onEmoji({ detail }: WechatMiniprogram.CustomEvent<{ emoji: string }>) {
      const { text, cursor } = insert(this.data.draft, this.data.cursor, detail.emoji);
      this.write(text, cursor);
    },

    onErase() {
      const { text, cursor } = removeBefore(this.data.draft, this.data.cursor);
      this.write(text, cursor);
    },

    onSend() {
      if (this.data.canSend) this.triggerEvent('send', { text: this.data.draft });
    },
  },
});
