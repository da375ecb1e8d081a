// Lets the user choose pictures and files to send.

import type { Draft } from '../core/index';
import { texts } from '../texts/index';
import { keep } from './files';
import { refused } from './permission';
import { pictureDraft } from './pictures';

/** The most pictures at once, as in WeChat. */
const MOST_PICTURES = 9;

/** Bytes that the service takes. */
const MOST_BYTES = 20_000_000;

/** Called with each draft as soon as it is ready, in the order of choosing. */
export type Give = (draft: Draft) => void;

/** What was chosen, pasted or dropped. */
export interface Chosen {
  readonly path: string;
  readonly name: string;
  readonly size: number;
  readonly type: string;
}

/** Pictures of the album, or one from the camera. */
export async function choosePictures(source: 'album' | 'camera', give: Give): Promise<void> {
  try {
    const { tempFiles } = await wx.chooseMedia({
      count: source === 'camera' ? 1 : MOST_PICTURES,
      mediaType: ['image'],
      sizeType: ['compressed'],
      sourceType: [source],
    });
    for (const { tempFilePath } of tempFiles) {
      const draft = await pictureDraft(tempFilePath);
      if (draft) give(draft);
    }
  } catch (error) {
    refused(error, source === 'camera' ? 'scope.camera' : null);
  }
}

/** Files of a chat in WeChat; in a browser those of the computer. */
export async function chooseFiles(give: Give): Promise<void> {
  try {
    const { tempFiles } = await wx.chooseMessageFile({ count: MOST_PICTURES, type: 'file' });
    await giveAll(tempFiles, give);
  } catch (error) {
    refused(error, null);
  }
}

/** Sends pictures as pictures, everything else as files. */
export async function giveAll(chosen: readonly Chosen[], give: Give): Promise<void> {
  for (const each of chosen) {
    const draft = each.type === 'image' ? await pictureDraft(each.path) : await fileDraft(each);
    if (draft) give(draft);
  }
}

async function fileDraft({ path, name, size }: Chosen): Promise<Draft | null> {
  const { media: say } = texts();
  if (size > MOST_BYTES || size === 0) {
    void wx.showToast({ title: size === 0 ? say.fileEmpty : say.fileTooLarge, icon: 'none' });
    return null;
  }
  return { kind: 'file', content: say.file + name, file: await keep(path, name, [size, 0]) };
}
