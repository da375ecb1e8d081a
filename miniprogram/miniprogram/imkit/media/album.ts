// Shows pictures of a conversation, and saves them to the album.

import type { ChatItem, ConversationKey, ImClient } from '../core/index';
import { texts } from '../texts/index';
import { refused } from './permission';
import { reachable } from './urls';

/** Where a picture can be seen in full; empty if nowhere. */
function urlOf({ kind, body, file, recalled }: ChatItem): string {
  return kind === 'image' && !recalled ? (file ?? reachable(body?.url ?? '')) : '';
}

/** Shows this picture over the page, and by swiping all others of the conversation. */
export function preview(client: ImClient, conversation: ConversationKey, key: string): void {
  const pictures = client.chats(conversation).items.filter((item) => urlOf(item) !== '');
  const current = pictures.findIndex((item) => item.key === key);
  if (current < 0) return;
  const sources = pictures.map((item) => ({ url: urlOf(item), type: 'image' as const }));
  const fail = () => {
    void wx.showToast({ title: texts().media.failed, icon: 'none' });
  };
  wx.previewMedia({ sources, current, fail });
}

/** Saves a picture to the phone's album. */
export async function savePicture(item: ChatItem): Promise<void> {
  const { media: say } = texts();
  try {
    await wx.saveImageToPhotosAlbum({ filePath: await fetchFile(urlOf(item)) });
    void wx.showToast({ title: say.saved, icon: 'none' });
  } catch (error) {
    refused(error, 'scope.writePhotosAlbum');
  }
}

/** The path of a file on the phone, which is downloaded if it has to be. Rejects if it cannot be. */
export async function fetchFile(url: string): Promise<string> {
  if (!/^https?:\/\/(?!usr\/|tmp)/.test(url)) return url;
  const { statusCode, tempFilePath } = await new Promise<WechatMiniprogram.DownloadFileSuccessCallbackResult>(
    (success, fail) => {
      wx.downloadFile({ url, success, fail });
    },
  );
  if (statusCode !== 200) throw new Error(`status ${statusCode}`);
  return tempFilePath;
}
