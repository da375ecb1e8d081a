// The picture that <button open-type="chooseAvatar"> lets the user choose.

import { chooseFiles } from './files';

/** Pixels of a side of the picture, as in WeChat. */
const AVATAR_PX = 512;

/** Lets the user choose a picture, and crops it to a square at a `blob:` URL; nothing if it is not a picture. */
export async function chooseAvatar(): Promise<string | undefined> {
  const [file] = await chooseFiles({ accept: 'image/*' });
  if (!file) return undefined;
  const picture = await createImageBitmap(file).catch(() => undefined);
  if (!picture) return undefined;
  const side = Math.min(picture.width, picture.height);
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = AVATAR_PX;
  const [left, top] = [(picture.width - side) / 2, (picture.height - side) / 2];
  canvas.getContext('2d')?.drawImage(picture, left, top, side, side, 0, 0, AVATAR_PX, AVATAR_PX);
  const blob = await new Promise<Blob | null>((resolve) => {
    canvas.toBlob(resolve, 'image/jpeg', 0.85);
  });
  return blob ? URL.createObjectURL(blob) : undefined;
}
