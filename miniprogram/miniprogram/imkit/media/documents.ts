// Opens files of chats.

import type { ChatItem } from '../core/index';
import { texts } from '../texts/index';
import { fetchFile } from './album';
import { nameOf } from './facts';
import { keep } from './files';
import { isCancelled } from './permission';
import { reachable } from './urls';

type DocumentType = NonNullable<WechatMiniprogram.OpenDocumentOption['fileType']>;

/** What WeChat can open. */
const DOCUMENTS: readonly string[] = ['doc', 'docx', 'xls', 'xlsx', 'ppt', 'pptx', 'pdf'];

/** Where downloaded files are, by the id of the media. */
const downloaded = new Map<string, string>();

/** The path of a file under its own name. */
async function obtain({ body, file }: ChatItem, name: string): Promise<string> {
  const id = body?.mediaId ?? '';
  const known = file ?? downloaded.get(id);
  if (known !== undefined) return known;
  const path = await keep(await fetchFile(reachable(body?.url ?? '')), name, [0, 0]);
  downloaded.set(id, path);
  return path;
}

/** Downloads a file, and opens it; if WeChat cannot, it is saved or passed on. */
export async function openFile(item: ChatItem): Promise<void> {
  const { media: say } = texts();
  const name = item.body?.name ?? nameOf(item.file ?? '');
  void wx.showLoading({ title: say.opening });
  try {
    const filePath = await obtain(item, name);
    void wx.hideLoading();
    await open(filePath, name);
  } catch {
    void wx.hideLoading();
    void wx.showToast({ title: say.cannotOpen, icon: 'none' });
  }
}

async function open(filePath: string, fileName: string): Promise<void> {
  const suffix = fileName.split('.').pop()?.toLowerCase() ?? '';
  if (DOCUMENTS.includes(suffix)) {
    await wx.openDocument({ filePath, fileType: suffix as DocumentType, showMenu: true });
    return;
  }
  // WeChat on computers, and browsers.
  try {
    await new Promise<void>((resolve, fail) => {
      const success = () => {
        resolve();
      };
      wx.saveFileToDisk({ filePath, success, fail });
    });
  } catch (error) {
    if (!isCancelled((error as { errMsg?: string }).errMsg ?? '')) await passOn(filePath, fileName);
  }
}

/** WeChat lets one pass a file on only while a tap is handled, and the download has outlived that: the user taps once more. */
function passOn(filePath: string, fileName: string): Promise<void> {
  const { menu, cancel } = texts();
  return new Promise((resolve, reject) => {
    const success = () => {
      resolve();
    };
    const fail = (error: { errMsg: string }) => {
      if (isCancelled(error.errMsg)) resolve();
      else reject(new Error(error.errMsg));
    };
    wx.showModal({
      content: fileName,
      confirmText: menu.actions.forward,
      cancelText: cancel,
      success: ({ confirm }) => {
        if (confirm) wx.shareFileMessage({ filePath, fileName, success, fail });
        else resolve();
      },
      fail,
    });
  });
}
