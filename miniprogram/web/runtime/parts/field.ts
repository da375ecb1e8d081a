// <input> and <textarea>.

import { attribute, type Followers, type Property, type Setup } from './define';

export const fieldProperties: Record<string, Property> = {
  value: String,
  type: { type: String, value: 'text' },
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

type Native = HTMLInputElement | HTMLTextAreaElement;

/** A component around HTML's own field. */
export function field(tag: 'input' | 'textarea'): Setup {
  return (part, element, emit) => {
    const native: Native = element.appendChild(document.createElement(tag));
    native.maxLength = 140;
    if (native instanceof HTMLTextAreaElement) native.rows = 1;
    const grow = () => {
      if (tag === 'textarea' && part.data.autoHeight) growToContent(native);
    };
    const changed = () => {
      part.setData({ value: native.value });
      grow();
      emit('input', { value: native.value, cursor: native.selectionStart });
    };
    listenToInput(native, changed);
    // A page that moves the focus gets the event later, as on a phone, not within its own `setData`.
    native.addEventListener('focus', () => {
      queueMicrotask(() => {
        emit('focus', { value: native.value, height: 0 });
      });
    });
    native.addEventListener('blur', () => {
      const cursor = native.selectionStart;
      queueMicrotask(() => {
        emit('blur', { value: native.value, cursor });
      });
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

function growToContent(native: Native): void {
  native.style.height = 'auto';
  native.style.height = `${native.scrollHeight}px`;
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
    focus: (value: boolean) => {
      if (value) native.focus();
      else native.blur();
    },
    confirmType: (value: string) => {
      native.enterKeyHint = value === 'return' ? 'enter' : value;
    },
    autoHeight: () => {
      requestAnimationFrame(grow);
    },
  };
}
