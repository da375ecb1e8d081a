// The built-in components.

import type { glassEasel } from 'glass-easel-miniprogram-adapter';

import { button, buttonProperties } from './button';
import { urlOf } from '../wx/files';
import { attribute, definePart, type Setup } from './define';
import { field, fieldProperties, textareaProperties } from './field';
import { pageContainer, pageContainerProperties } from './page-container';
import { scrollView, scrollViewProperties } from './scroll-view';
import { switcher, switchProperties } from './switch';

const plain: Setup = () => ({});

const text: Setup = (_part, element) => ({ userSelect: attribute(element, 'user-select') });

const FIT: Record<string, string> = { scaleToFill: 'fill', aspectFit: 'contain', aspectFill: 'cover' };

const image: Setup = (part, element, emit) => {
  const native = element.appendChild(document.createElement('img'));
  native.draggable = false;
  native.alt = '';
  native.addEventListener('load', () => {
    emit('load', { width: native.naturalWidth, height: native.naturalHeight });
  });
  native.addEventListener('error', () => {
    emit('error', { errMsg: `${String(part.data.src)} does not load` });
  });
  return {
    src: (value: string) => {
      if (!value) {
        native.removeAttribute('src');
        return;
      }
      void urlOf(value).then(
        (url) => {
          if (part.data.src === value) native.src = url;
        },
        () => {
          emit('error', { errMsg: `${value} does not load` });
        },
      );
    },
    mode: (value: string) => {
      native.style.objectFit = FIT[value] ?? 'cover';
    },
  };
};

export function defineParts(space: glassEasel.ComponentSpace): void {
  definePart(space, 'view', {}, plain);
  definePart(space, 'page-meta', { rootFontSize: String }, plain);
  definePart(space, 'text', { userSelect: Boolean }, text);
  definePart(
    space,
    'image',
    { src: String, mode: { type: String, value: 'scaleToFill' }, lazyLoad: Boolean },
    image,
  );
  definePart(space, 'button', buttonProperties, button);
  definePart(space, 'input', { ...fieldProperties, password: Boolean }, field('input'));
  definePart(space, 'textarea', textareaProperties, field('textarea'));
  definePart(space, 'page-container', pageContainerProperties, pageContainer);
  definePart(space, 'scroll-view', scrollViewProperties, scrollView);
  definePart(space, 'switch', switchProperties, switcher);
}
