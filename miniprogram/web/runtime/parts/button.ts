// <button>, with `open-type` `chooseAvatar` and `share`, and the agreement button of WeChat's privacy gate.

import { share } from '../share';
import { chooseFiles } from '../wx/files';
import { privacy } from '../wx/index';
import { attribute, type Property, type Setup } from './define';

export const buttonProperties: Record<string, Property> = {
  type: { type: String, value: 'default' },
  size: { type: String, value: 'default' },
  plain: Boolean,
  disabled: Boolean,
  loading: Boolean,
  openType: String,
};

export const button: Setup = (part, element, emit) => {
  element.setAttribute('role', 'button');
  element.tabIndex = 0;
  // WeChat's own rules for buttons ask for these, also where the page sets neither.
  for (const name of ['type', 'size']) element.setAttribute(name, 'default');
  part.addListener('tap', () => {
    if (part.data.disabled) return;
    if (part.data.openType === 'agreePrivacyAuthorization') {
      privacy.tap(element.id);
      emit('agreeprivacyauthorization', {});
    }
    if (part.data.openType === 'share') share();
    if (part.data.openType !== 'chooseAvatar') return;
    void privacy
      .allow('头像', 'button.chooseAvatar')
      .then(chooseAvatar)
      .then(
        (avatarUrl) => {
          if (avatarUrl) emit('chooseavatar', { avatarUrl });
        },
        (error: unknown) => {
          emit('error', { errMsg: `chooseAvatar:fail ${(error as Error).message}` });
        },
      );
  });
  return {
    type: attribute(element, 'type'),
    size: attribute(element, 'size'),
    plain: attribute(element, 'plain'),
    loading: attribute(element, 'loading'),
    disabled: (value: boolean) => {
      attribute(element, 'disabled')(value);
      element.setAttribute('aria-disabled', String(value));
    },
  };
};

/** Pixels of a side of the picture, as in WeChat. */
const AVATAR_PX = 512;

/** Lets the user choose a picture, and crops it to a square at a `blob:` URL; nothing if it is not a picture. */
async function chooseAvatar(): Promise<string | undefined> {
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
