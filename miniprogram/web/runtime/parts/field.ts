// <input> and <textarea>.

import { blur, focus } from '../keyboard';
import { attribute, type Followers, type Part, type Property, type Setup } from './define';

export const fieldProperties: Record<string, Property> = {
  value: String,
  type: { type: String, value: 'text' },
  password: Boolean,
  placeholder: String,
  placeholderClass: String,
  placeholderStyle: String,
  disabled: Boolean,
  maxlength: { type: Number, value: 140 },
  focus: Boolean,
  confirmType: { type: String, value: 'done' },
  confirmHold: Boolean,
  holdKeyboard: Boolean,
  adjustPosition: { type: Boolean, value: true },
  cursorSpacing: Number,
};

export const textareaProperties: Record<string, Property> = {
  ...fieldProperties,
  autoHeight: Boolean,
  fixed: Boolean,
  showConfirmBar: { type: Boolean, value: true },
  disableDefaultPadding: Boolean,
};

/** A nickname with this is unfit, for tests: WeChat's own list is not known. */
const UNFIT = '违规';

type Native = HTMLInputElement | HTMLTextAreaElement;

/** A component around HTML's own field. */
export function field(tag: 'input' | 'textarea'): Setup {
  return (part, element, emit) => {
    const native: Native = element.appendChild(document.createElement(tag));
    native.maxLength = 140;
    if (native instanceof HTMLTextAreaElement) native.rows = 1;
    const grow = native instanceof HTMLTextAreaElement ? grower(part, element, native, emit) : () => undefined;
    // The property keeps what the page has set last: as in WeChat, the same value again changes nothing.
    const changed = () => {
      grow();
      emit('input', { value: native.value, cursor: native.selectionStart });
    };
    listenToInput(native, changed);
    const hold = (event: Event) => {
      const isField = event.target instanceof Element && event.target.closest('input, textarea');
      if (part.data.holdKeyboard && !isField) event.preventDefault();
    };
    native.addEventListener('focus', () => {
      document.addEventListener('mousedown', hold, true);
      focus(emit, native.value);
    });
    native.addEventListener('blur', () => {
      document.removeEventListener('mousedown', hold, true);
      blur(emit, native.value, native.selectionStart);
      if (part.data.type === 'nickname') review(native, emit);
    });
    native.addEventListener('keydown', (event) => {
      const key = event as KeyboardEvent;
      // Enter while an input method is open chooses a word.
      if (key.key !== 'Enter' || key.isComposing) return;
      if (tag === 'textarea' && (key.shiftKey || part.data.confirmType === 'return')) return;
      key.preventDefault();
      emit('confirm', { value: native.value });
      if (!part.data.confirmHold) native.blur();
    });
    return followers(element, native, grow);
  };
}

/** WeChat looks at a nickname after the field has lost the focus, and empties the field if the name is unfit. */
function review(native: Native, emit: (name: string, detail: unknown) => void): void {
  const pass = !native.value.includes(UNFIT);
  setTimeout(() => {
    if (!pass) native.value = '';
    emit('nicknamereview', { pass, timeout: false });
  }, 0);
}

/** Calls `changed` after each change, and once for a word that an input method composes. */
function listenToInput(native: Native, changed: () => void): void {
  let isComposing = false;
  native.addEventListener('compositionstart', () => {
    isComposing = true;
  });
  native.addEventListener('compositionend', () => {
    isComposing = false;
    changed();
  });
  native.addEventListener('input', (event) => {
    event.stopPropagation();
    if (!isComposing) changed();
  });
}

/** A function that fits the height to the text, with `auto-height`, and tells when the number of lines changes. */
function grower(
  part: Part,
  element: HTMLElement,
  native: HTMLTextAreaElement,
  emit: (name: string, detail: unknown) => void,
): () => void {
  let before = 1;
  return () => {
    const { scrollTop } = element;
    native.style.height = 'auto';
    const height = native.scrollHeight;
    native.style.height = part.data.autoHeight ? `${height}px` : '';
    // The change of the height has moved the text; the end of it is where somebody writes.
    element.scrollTop = native.selectionEnd === native.value.length ? element.scrollHeight : scrollTop;
    const style = getComputedStyle(native);
    // `normal` is no number.
    const lineHeight = parseFloat(style.lineHeight) || parseFloat(style.fontSize) * 1.4;
    const lineCount = Math.max(1, Math.round(height / lineHeight) || 1);
    if (lineCount === before) return;
    before = lineCount;
    emit('linechange', { height, lineHeight, lineCount });
  };
}

function followers(element: HTMLElement, native: Native, grow: () => void): Followers {
  return {
    value: (value: string) => {
      if (native.value === value) return;
      native.value = value;
      grow();
    },
    placeholder: (value: string) => {
      native.placeholder = value;
      // For screen readers, if there is no label.
      if (!native.getAttribute('aria-label')) native.setAttribute('aria-label', value);
    },
    ariaLabel: attribute(native, 'aria-label'),
    placeholderStyle: (value: string) => {
      const color = /color:\s*([^;]+)/.exec(value)?.[1];
      if (color) element.style.setProperty('--placeholder', color);
    },
    disabled: (value: boolean) => {
      native.disabled = value;
    },
    maxlength: (value: number) => {
      if (value < 0) native.removeAttribute('maxlength');
      else native.maxLength = value;
    },
    type: (value: string) => {
      native.inputMode = value === 'number' ? 'numeric' : 'text';
    },
    password: (value: boolean) => {
      if (native instanceof HTMLInputElement) native.type = value ? 'password' : 'text';
    },
    focus: (value: boolean) => {
      if (!value) native.blur();
      else if (native.isConnected) native.focus();
      // The page is not on the screen yet.
      else
        queueMicrotask(() => {
          native.focus();
        });
    },
    confirmType: (value: string) => {
      native.enterKeyHint = value === 'return' ? 'enter' : value;
    },
    autoHeight: (value: boolean) => {
      attribute(element, 'auto-height')(value);
      requestAnimationFrame(grow);
    },
    disableDefaultPadding: attribute(element, 'disable-default-padding'),
  };
}
