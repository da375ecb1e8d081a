// <button>, with `open-type` `chooseAvatar` and `share`, and the agreement button of WeChat's privacy gate.

import { secondHalf } from '../packages';
import { share } from '../share';
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
      .then(secondHalf)
      .then(({ chooseAvatar }) => chooseAvatar())
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
