// The built-in components that the first screen needs. All others are in `second.ts`.

import type { glassEasel } from 'glass-easel-miniprogram-adapter';

import { button, buttonProperties } from './button';
import { attribute, definePart, type Setup } from './define';
import { field, fieldProperties } from './field';

const plain: Setup = () => ({});

const text: Setup = (_part, element) => ({ userSelect: attribute(element, 'user-select') });

/** Those of `FIRST_TAGS`. */
export function defineParts(space: glassEasel.ComponentSpace): void {
  definePart(space, 'view', {}, plain);
  definePart(space, 'page-meta', { rootFontSize: String }, plain);
  definePart(space, 'text', { userSelect: Boolean }, text);
  definePart(space, 'button', buttonProperties, button);
  definePart(space, 'input', { ...fieldProperties, password: Boolean }, field('input'));
}
