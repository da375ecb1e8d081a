// Connects the component framework to the DOM.

import { glassEasel } from 'glass-easel-miniprogram-adapter';

import { TAGS } from '../tags';

/** Events that the framework takes from the browser; it makes all others itself. */
const NATIVE = /^(touch(start|move|end|cancel)|transitionend|animation(start|iteration|end))$/;

function rpx(style: string): string {
  return style.replace(/(-?[\d.]+)rpx\b/g, 'calc($1 * var(--rpx))');
}

function createElement(tag: string): HTMLElement {
  const element = document.createElement(TAGS.has(tag) || tag === 'page' ? `wx-${tag}` : tag);
  const setAttribute = element.setAttribute.bind(element);
  element.setAttribute = (name: string, value: string) => {
    // A strict content security policy refuses the attribute `style`, but not the property.
    if (name === 'style') element.style.cssText = rpx(value);
    else setAttribute(name, value);
  };
  return element;
}

export class Backend extends glassEasel.CurrentWindowBackendContext {
  constructor() {
    super();
    type Document = typeof this.document;
    this.document = {
      createElement,
      createTextNode: (text: string) => document.createTextNode(text),
      createDocumentFragment: () => document.createDocumentFragment(),
    } as unknown as Document;
  }

  override setListenerStats(
    ...args: Parameters<glassEasel.CurrentWindowBackendContext['setListenerStats']>
  ): void {
    const [element, type] = args as unknown as [HTMLElement, string];
    if (NATIVE.test(type)) super.setListenerStats(...args);
    // A keyboard reaches what a finger can press.
    if (type === 'longpress' && !element.hasAttribute('tabindex')) element.tabIndex = 0;
  }
}
