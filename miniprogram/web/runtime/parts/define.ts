// The common part of all built-in components.

import type { glassEasel } from 'glass-easel-miniprogram-adapter';

import { ACTED } from '../gestures';
import { holdFocus } from '../held-focus';

type Space = glassEasel.ComponentSpace;

/** A property's type, or its type and its value unless it is set. */
export type Property =
  | StringConstructor
  | NumberConstructor
  | BooleanConstructor
  | { type: StringConstructor | NumberConstructor | BooleanConstructor; value: string | number | boolean };

/** An instance of a component. */
export interface Part {
  data: Record<string, unknown>;
  setData(data: Record<string, unknown>): void;
  addListener(name: string, listener: () => void): void;
  classList: { toggle(name: string, force: boolean): void };
  ownerShadowRoot: { getElementById(id: string): { $$: HTMLElement | null } | undefined } | null;
}

/** Makes an element a component. Returns the observer of each property. */
export type Setup = (
  part: Part,
  element: HTMLElement,
  emit: (name: string, detail: unknown) => void,
) => Followers;

/** `removed` follows no property: it is called when the component is taken from the page. */
export type Followers = Record<string, (value: never) => void>;

/** An attribute that follows a property. */
export function attribute(element: HTMLElement, name: string): (value: string | boolean) => void {
  return (value) => {
    if (value === false || value === '') element.removeAttribute(name);
    else element.setAttribute(name, value === true ? '' : value);
  };
}

/** Makes `tag` known to all pages and components. */
export function definePart(
  space: Space,
  tag: string,
  properties: Record<string, Property>,
  setup: Setup,
): void {
  const all: Record<string, Property> = {
    hidden: Boolean,
    hoverClass: { type: String, value: tag === 'button' ? 'button-hover' : 'none' },
    hoverStayTime: { type: Number, value: 70 },
    ariaRole: String,
    ariaLabel: String,
    ariaHidden: Boolean,
    ariaDisabled: Boolean,
    ariaChecked: Boolean,
    ...properties,
  };
  const followers = new WeakMap<object, Followers>();
  const releases = new WeakMap<object, () => void>();
  const entries = Object.entries(all).map(([name, property]) => {
    const observer = function (this: object, value: never) {
      followers.get(this)?.[name]?.(value);
    };
    return [name, { ...(typeof property === 'function' ? { type: property } : property), observer }];
  });
  const definition = space.defineComponent({
    is: `wx:${tag}`,
    properties: Object.fromEntries(entries) as Record<string, never>,
    lifetimes: {
      created() {
        const element = this.$$ as unknown as HTMLElement;
        const part = this as unknown as Part;
        hover(part, element);
        followers.set(this, {
          hidden: attribute(element, 'wx-hidden'),
          ariaRole: (value: string) => {
            attribute(element, 'role')(value);
            if (ACTED.has(value)) element.tabIndex = 0;
            if (value === 'checkbox') element.setAttribute('aria-checked', String(part.data.ariaChecked));
            if (value === 'menu' || value === 'dialog') releases.set(this, holdFocus(element));
          },
          ariaLabel: attribute(element, 'aria-label'),
          ariaChecked: (value: boolean) => {
            element.setAttribute('aria-checked', String(value));
          },
          ariaDisabled: (value: boolean) => {
            attribute(element, 'aria-disabled')(value ? 'true' : '');
          },
          ariaHidden: (value: boolean) => {
            attribute(element, 'aria-hidden')(value ? 'true' : '');
          },
          ...setup(part, element, (name, detail) => {
            this.triggerEvent(name, detail);
          }),
        });
      },
      detached() {
        releases.get(this)?.();
        followers.get(this)?.removed?.(undefined as never);
      },
    },
  });
  space.setGlobalUsingComponent(tag, definition.general());
}

/** Puts the class of `hover-class` on while the component is pressed. */
function hover(part: Part, element: HTMLElement): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const name = () => {
    const { hoverClass, disabled } = part.data;
    return typeof hoverClass === 'string' && hoverClass !== 'none' && !disabled ? hoverClass : undefined;
  };
  element.addEventListener('pointerdown', () => {
    const pressed = name();
    if (!pressed) return;
    clearTimeout(timer);
    part.classList.toggle(pressed, true);
  });
  const release = () => {
    const pressed = name();
    if (!pressed) return;
    timer = setTimeout(() => {
      part.classList.toggle(pressed, false);
    }, part.data.hoverStayTime as number);
  };
  for (const event of ['pointerup', 'pointercancel', 'pointerleave'])
    element.addEventListener(event, release);
}
