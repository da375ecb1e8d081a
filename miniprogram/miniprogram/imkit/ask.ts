// Questions to the user, and what a failed call says.

import { sayError, texts } from './texts/index';

/** Shows a few words for a moment. */
export function tell(title: string): void {
  void wx.showToast({ title, icon: 'none' });
}

/** Waits for a call. False if it failed: then a toast has said why, by `special` for some codes. */
export async function attempt(call: Promise<unknown>, special: Readonly<Record<string, string>> = {}): Promise<boolean> {
  try {
    await call;
    return true;
  } catch (error) {
    tell(sayError(error, special));
    return false;
  }
}

/** Asks whether to do something. WeChat takes at most 4 characters of Chinese, or 8 of English, for a button. */
export async function confirm(content: string, confirmText = texts().ok): Promise<boolean> {
  const answer = await wx.showModal({ content, confirmText, cancelText: texts().cancel });
  return answer.confirm;
}

/** Asks for a line of text. Null if the user cancels. */
export async function prompt(title: string, content: string, placeholderText: string): Promise<string | null> {
  const { ok, cancel } = texts();
  const options = { title, content, placeholderText, editable: true, confirmText: ok, cancelText: cancel };
  const answer = await wx.showModal(options);
  return answer.confirm ? answer.content : null;
}

/** Lets the user choose one of up to six lines. Null if none. */
export async function choose(itemList: string[]): Promise<number | null> {
  try {
    const { tapIndex } = await wx.showActionSheet({ itemList });
    return tapIndex;
  } catch {
    // Closed without a choice.
    return null;
  }
}
