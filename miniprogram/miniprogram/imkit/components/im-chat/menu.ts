// The menu of a bubble.

import type { ConversationKey, ImClient } from '../../core/index';
import type { ChatRow } from '../../lists/rows';
import { texts } from '../../texts/index';

interface Choice {
  readonly text: string;
  readonly run: () => unknown;
}

/** The choices for a bubble; those for its text only if the text was pressed. */
export function choices(client: ImClient, conversation: ConversationKey, { key, status, text }: ChatRow, isText: boolean): Choice[] {
  const { chat: say } = texts();
  const failed = [
    { text: say.resend, run: () => client.resend(conversation, key) },
    { text: say.remove, run: () => client.discard(conversation, key) },
  ];
  // WeChat says by itself that it has copied.
  const copy = () => {
    const fail = () => void wx.showToast({ title: say.copyFailed, icon: 'none' });
    wx.setClipboardData({ data: text, fail });
  };
  return [...(status === 'failed' ? failed : []), ...(isText ? [{ text: say.copy, run: copy }] : [])];
}

/** Lets the user choose. */
export async function offer(list: readonly Choice[]): Promise<void> {
  try {
    const { tapIndex } = await wx.showActionSheet({ itemList: list.map(({ text }) => text) });
    list[tapIndex]?.run();
  } catch {
    // Closed without a choice.
  }
}
