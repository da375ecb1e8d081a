// The menu of a bubble.

import type { ConversationKey, ImClient } from '../../core/index';
import type { ChatRow } from '../../lists/rows';
import { savePicture } from '../../media/album';
import { texts } from '../../texts/index';

interface Choice {
  readonly text: string;
  readonly run: () => unknown;
}

/** The choices for a bubble; those for its text only if the text was pressed. */
export function choices(client: ImClient, conversation: ConversationKey, row: ChatRow, isText: boolean): Choice[] {
  const { chat: say, media: sayMedia } = texts();
  const { key, status, text, media } = row;
  const failed = [
    { text: say.resend, run: () => client.resend(conversation, key) },
    { text: say.remove, run: () => client.discard(conversation, key) },
  ];
  // WeChat says by itself that it has copied.
  const copy = () => {
    const fail = () => void wx.showToast({ title: say.copyFailed, icon: 'none' });
    wx.setClipboardData({ data: text, fail });
  };
  const save = () => {
    const item = client.chats(conversation).items.find((each) => each.key === key);
    if (item) void savePicture(item);
  };
  const saving = media?.kind === 'image' ? [{ text: sayMedia.save, run: save }] : [];
  const own = media ? saving : [{ text: say.copy, run: copy }];
  return [...(status === 'failed' ? failed : []), ...(isText ? own : [])];
}

/** Lets the user choose. */
export async function offer(list: readonly Choice[]): Promise<void> {
  if (list.length === 0) return;
  try {
    const { tapIndex } = await wx.showActionSheet({ itemList: list.map(({ text }) => text) });
    list[tapIndex]?.run();
  } catch {
    // Closed without a choice.
  }
}
