// Pictures to send: small enough for the service, and with their proportions.

import type { Draft } from '../core/index';
import { texts } from '../texts/index';
import { keep } from './files';

/** Pixels of the longer side. The service makes larger pictures as small. */
const MOST_PX = 2048;

/** Bytes that the service takes. */
const MOST_BYTES = 10_000_000;

interface Size {
  readonly width: number;
  readonly height: number;
}

/** Upright; nothing if the phone cannot read it. */
async function sizeOf(src: string): Promise<Size> {
  try {
    const { width, height, orientation } = await wx.getImageInfo({ src });
    const isTurned = orientation.startsWith('left') || orientation.startsWith('right');
    return isTurned ? { width: height, height: width } : { width, height };
  } catch {
    return { width: 0, height: 0 };
  }
}

function bytesOf(filePath: string): Promise<number> {
  return new Promise((resolve) => {
    const fail = () => {
      resolve(0);
    };
    wx.getFileSystemManager().getFileInfo({ filePath, success: ({ size }) => { resolve(size); }, fail });
  });
}

/** Scales a picture down, and compresses it; the original if the phone cannot. */
async function compress(src: string, { width, height }: Size): Promise<string> {
  const scale = Math.min(1, MOST_PX / Math.max(width, height, 1));
  const size = {
    compressedWidth: Math.max(1, Math.round(width * scale)),
    compressedHeight: Math.max(1, Math.round(height * scale)),
  };
  try {
    const { tempFilePath } = await wx.compressImage({ src, quality: 80, ...(scale < 1 ? size : {}) });
    return tempFilePath;
  } catch {
    return src;
  }
}

/** A picture to send; null if it is too large, which is said. */
export async function pictureDraft(path: string): Promise<Draft | null> {
  const { media: say } = texts();
  const size = await sizeOf(path);
  const small = await compress(path, size);
  if ((await bytesOf(small)) > MOST_BYTES) {
    void wx.showToast({ title: say.pictureTooLarge, icon: 'none' });
    return null;
  }
  const suffix = /\.\w{1,5}$/.exec(small)?.[0] ?? '.jpg';
  const file = await keep(small, `picture${suffix}`, [size.width, size.height]);
  return { kind: 'image', content: say.image, file };
}
