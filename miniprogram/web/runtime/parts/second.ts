// The built-in components that the first screen does not need.

import type { glassEasel } from 'glass-easel-miniprogram-adapter';

import { tellFiles } from '../dropped';
import { urlOf } from '../wx/files';
import { definePart, type Setup } from './define';
import { field, textareaProperties } from './field';
import { pageContainer, pageContainerProperties } from './page-container';
import { scrollView, scrollViewProperties } from './scroll-view';
import { switcher, switchProperties } from './switch';

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

const writing = field('textarea');

const textarea: Setup = (part, element, emit) => {
  tellFiles(element, emit);
  return writing(part, element, emit);
};

export function defineSecondParts(space: glassEasel.ComponentSpace): void {
  definePart(
    space,
    'image',
    { src: String, mode: { type: String, value: 'scaleToFill' }, lazyLoad: Boolean },
    image,
  );
  definePart(space, 'textarea', textareaProperties, textarea);
  definePart(space, 'page-container', pageContainerProperties, pageContainer);
  definePart(space, 'scroll-view', scrollViewProperties, scrollView);
  definePart(space, 'switch', switchProperties, switcher);
}
