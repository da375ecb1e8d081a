// Pictures and files: chosen, compressed, saved to the album, opened.

import { answer } from './callbacks';
import { chooseFiles, download, nameOf, read, temporary, urlOf } from './files';
import type { Scope } from './privacy';

/** The most pictures that WeChat lets a user choose at once. */
const MOST_PICTURES = 20;

/** What WeChat opens, by the end of the name. */
const DOCUMENTS = /\.(docx?|xlsx?|pptx?|pdf)$/i;

interface ChooseMedia {
  count?: number;
  sourceType?: string[];
}

interface Compress {
  src: string;
  quality?: number;
  compressedWidth?: number;
  compressedHeight?: number;
}

type Allow = (scope: Scope, referrer: string) => Promise<void>;

async function picture(path: string): Promise<{ bitmap: ImageBitmap; type: string }> {
  const blob = await read(path);
  const bitmap = await createImageBitmap(blob).catch(() => {
    throw new Error('decode image failed');
  });
  return { bitmap, type: blob.type.replace('image/', '') };
}

async function jpeg(bitmap: ImageBitmap, width: number, height: number, quality: number): Promise<Blob> {
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  const drawing = canvas.getContext('2d');
  if (!drawing) throw new Error('no canvas');
  // What is transparent would be black.
  drawing.fillStyle = '#ffffff';
  drawing.fillRect(0, 0, width, height);
  drawing.drawImage(bitmap, 0, 0, width, height);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => {
      if (blob) resolve(blob);
      else reject(new Error('encode image failed'));
    }, 'image/jpeg', quality / 100);
  });
}

/** `allow` is the privacy gate. */
export function createMedia(allow: Allow) {
  return {
    chooseMedia: answer('chooseMedia', async ({ count = 9, sourceType = ['album', 'camera'] }: ChooseMedia) => {
      if (count > MOST_PICTURES) throw new Error(`count is at most ${MOST_PICTURES}`);
      const camera = !sourceType.includes('album');
      await allow(camera ? '摄像头' : '选中的照片或视频信息', 'chooseMedia');
      const files = await chooseFiles({ accept: 'image/*', multiple: count > 1, camera });
      if (files.length === 0) throw new Error('cancel');
      const tempFiles = files.slice(0, count).map((file) => ({
        tempFilePath: temporary(file, file.name),
        size: file.size,
        fileType: 'image',
      }));
      return { tempFiles, type: 'image' };
    }),

    chooseMessageFile: answer('chooseMessageFile', async ({ count = 100 }: { count?: number }) => {
      await allow('选中的文件', 'chooseMessageFile');
      const files = await chooseFiles({ multiple: count > 1 });
      if (files.length === 0) throw new Error('cancel');
      const tempFiles = files.slice(0, count).map((file) => ({
        path: temporary(file, file.name),
        name: file.name,
        size: file.size,
        type: 'file',
      }));
      return { tempFiles };
    }),

    getImageInfo: answer('getImageInfo', async ({ src }: { src: string }) => {
      const { bitmap, type } = await picture(src);
      // The browser has turned it upright.
      return { width: bitmap.width, height: bitmap.height, orientation: 'up', type, path: src };
    }),

    compressImage: answer('compressImage', async (given: Compress) => {
      const { src, quality = 80, compressedWidth, compressedHeight } = given;
      const { bitmap } = await picture(src);
      const byHeight = compressedHeight === undefined ? bitmap.width : (bitmap.width * compressedHeight) / bitmap.height;
      const width = Math.round(compressedWidth ?? byHeight);
      const height = Math.round(compressedHeight ?? (bitmap.height * width) / bitmap.width);
      const name = nameOf(src).replace(/\.\w+$/, '');
      return { tempFilePath: temporary(await jpeg(bitmap, width, height, quality), `${name}.jpg`) };
    }),

    saveImageToPhotosAlbum: answer('saveImageToPhotosAlbum', async ({ filePath }: { filePath: string }) => {
      if (/^https?:/.test(filePath)) throw new Error('invalid file path');
      await allow('相册（仅写入）', 'saveImageToPhotosAlbum');
      const { type } = await read(filePath);
      const name = nameOf(filePath).replace(/\.\w+$/, '');
      download(await urlOf(filePath), `${name}.${type === 'image/png' ? 'png' : 'jpg'}`);
      return {};
    }),

    openDocument: answer('openDocument', async ({ filePath, fileType }: { filePath: string; fileType?: string }) => {
      if (!DOCUMENTS.test(fileType === undefined ? nameOf(filePath) : `.${fileType}`)) {
        throw new Error('filetype not supported');
      }
      download(await urlOf(filePath), nameOf(filePath));
      return {};
    }),

    /** WeChat has it on computers. */
    saveFileToDisk: answer('saveFileToDisk', async ({ filePath }: { filePath: string }) => {
      download(await urlOf(filePath), nameOf(filePath));
      return {};
    }),
  };
}
