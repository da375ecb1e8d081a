// Toasts, menus and questions over the page.

import { addCloser, removeCloser } from '../closers';
import { holdFocus } from '../held-focus';
import { say } from '../language';
import { answer } from './callbacks';

function element(className: string, parent: Element, text = ''): HTMLElement {
  const made = document.createElement('div');
  made.className = className;
  made.textContent = text;
  return parent.appendChild(made);
}

function button(parent: Element, text: string, press: () => void): HTMLButtonElement {
  const made = document.createElement('button');
  made.type = 'button';
  made.textContent = text;
  made.addEventListener('click', press);
  return parent.appendChild(made);
}

/** A dialog over the page, until it is answered. A screen reader says the label. */
export function overlay<Result>(
  className: string,
  label: string,
  build: (box: HTMLElement, resolve: (result: Result) => void, cancel: () => void) => void,
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const mask = element('mp-mask', document.body);
    const end = () => {
      removeCloser(cancel);
      release();
      mask.remove();
    };
    const cancel = () => {
      end();
      reject(new Error('cancel'));
    };
    // The click that ends a long press was begun before the dialog was there.
    let isBegun = false;
    mask.addEventListener('pointerdown', () => {
      isBegun = true;
    });
    mask.addEventListener('click', (event) => {
      if (event.target === mask && isBegun) cancel();
    });
    const box = element(className, mask);
    box.role = 'dialog';
    box.ariaModal = 'true';
    box.ariaLabel = label;
    const release = holdFocus(box);
    const done = (result: Result) => {
      end();
      resolve(result);
    };
    build(box, done, cancel);
    addCloser(cancel);
  });
}

interface Sheet {
  itemList: string[];
}

export function createDialogs(host: HTMLElement) {
  let toast: HTMLElement | undefined;
  const hideToast = () => {
    toast?.remove();
    return {};
  };
  const showText = (text: string) => {
    toast?.remove();
    toast = element('mp-toast', host, text);
    toast.role = 'status';
    return toast;
  };
  return {
    showToast: answer('showToast', ({ title, duration = 1500 }: { title: string; duration?: number }) => {
      const shown = showText(title);
      setTimeout(() => {
        shown.remove();
      }, duration);
      return {};
    }),
    showLoading: answer('showLoading', ({ title }: { title: string }) => {
      showText(title);
      return {};
    }),
    hideLoading: answer('hideLoading', hideToast),
    showActionSheet: answer('showActionSheet', ({ itemList }: Sheet) =>
      overlay<{ tapIndex: number }>('mp-sheet', say('选择操作', 'Choose'), (box, resolve, cancel) => {
        itemList.forEach((text, tapIndex) => {
          button(box, text, () => {
            resolve({ tapIndex });
          });
        });
        button(box, say('取消', 'Cancel'), cancel).className = 'mp-cancel';
      }),
    ),
    showModal: answer('showModal', (options: Modal) => {
      for (const name of ['confirmText', 'cancelText'] as const) {
        if (widthOf(options[name] ?? '') > MOST_BUTTON_WIDTH) throw new Error(`${name} length should not larger than 4 Chinese characters`);
      }
      return overlay('mp-modal', firstOf(options.title, options.content) ?? say('提示', 'Question'), modal(options)).catch(() => CANCELLED);
    }),
  };
}

/** The width of a button's text at most, in letters. */
const MOST_BUTTON_WIDTH = 8;

/** A Chinese character is as wide as two letters. */
function widthOf(text: string): number {
  return Array.from(text).reduce((sum, character) => sum + (character > '\u00ff' ? 2 : 1), 0);
}

/** The first of these that says something. */
function firstOf(...texts: (string | undefined)[]): string | undefined {
  return texts.find((text) => text !== undefined && text !== '');
}

interface Modal {
  title?: string;
  content?: string;
  showCancel?: boolean;
  cancelText?: string;
  confirmText?: string;
  editable?: boolean;
  placeholderText?: string;
}

interface ModalResult {
  confirm: boolean;
  cancel: boolean;
  content: string;
}

const CANCELLED: ModalResult = { confirm: false, cancel: true, content: '' };

/** A question, for `overlay`. */
export function modal(options: Modal) {
  return (box: HTMLElement, resolve: (result: ModalResult) => void) => {
    if (options.title) element('mp-modal-title', box, options.title);
    let input: HTMLInputElement | undefined;
    if (options.editable) {
      input = box.appendChild(document.createElement('input'));
      input.value = options.content ?? '';
      input.placeholder = options.placeholderText ?? '';
      input.ariaLabel = firstOf(options.title, options.placeholderText) ?? say('内容', 'Text');
    } else if (options.content) element('mp-modal-text', box, options.content);
    const confirm = () => {
      resolve({ confirm: true, cancel: false, content: input?.value ?? '' });
    };
    const buttons = element('mp-modal-buttons', box);
    if (options.showCancel !== false) {
      button(buttons, options.cancelText ?? '取消', () => {
        resolve(CANCELLED);
      });
    }
    button(buttons, options.confirmText ?? '确定', confirm).className = 'mp-confirm';
    input?.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && !event.isComposing) confirm();
    });
    // Only after the dialog is on the screen.
    queueMicrotask(() => input?.focus());
  };
}
