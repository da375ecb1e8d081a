// One page on the screen: the title bar, and the page itself.

import type { glassEasel } from 'glass-easel-miniprogram-adapter';

import { isLost } from './held-focus';
import type { WindowConfig } from './program';

/** The methods of a page that the runner calls. */
export interface PageInstance {
  route: string;
  options: Record<string, string>;
  onLoad?(options: Record<string, string>): void;
  onShow?(): void;
  onReady?(): void;
  onResize?(size: object): void;
  onHide?(): void;
  onUnload?(): void;
  [member: string]: unknown;
}

/** A page of the component framework. */
export interface PageRoot {
  get(): unknown;
  attach(parent: glassEasel.GeneralBackendElement, placeholder: glassEasel.GeneralBackendElement): void;
  release(): void;
  getComponent(): glassEasel.GeneralComponent;
}

export interface BackButton {
  label: string;
  press: () => void;
}

export class Screen {
  readonly element = document.createElement('div');
  readonly page: PageInstance;
  private readonly bar = document.createElement('header');
  private readonly heading = document.createElement('h1');
  /** What had the focus when the page was left. */
  private left: Element | null = null;

  constructor(
    readonly path: string,
    /** With its query. */
    readonly url: string,
    private readonly root: PageRoot,
    back: BackButton | undefined,
    /** Whether no page is below it. */
    private readonly isAlone: boolean,
  ) {
    this.page = root.get() as PageInstance;
    this.element.className = 'mp-screen';
    this.bar.className = 'mp-nav';
    if (back) this.bar.append(backButton(back));
    this.heading.tabIndex = -1;
    this.bar.append(this.heading);
    const body = document.createElement('div');
    body.className = 'mp-body';
    const placeholder = body.appendChild(document.createElement('i'));
    this.element.append(this.bar, body);
    const host = root.getComponent().$$ as unknown as HTMLElement;
    host.setAttribute('is', path);
    const node = (element: HTMLElement) => element as unknown as glassEasel.GeneralBackendElement;
    root.attach(node(body), node(placeholder));
  }

  /** Removes the button to the first page, which a page opened by a link has. */
  hideHomeButton(): void {
    if (this.isAlone) this.bar.querySelector('.mp-back')?.remove();
  }

  get title(): string {
    return this.heading.textContent;
  }

  set title(title: string) {
    this.heading.textContent = title;
  }

  /** Colours the bar. */
  paint(config: WindowConfig): void {
    this.bar.style.background = config.navigationBarBackgroundColor ?? '';
    this.bar.style.color = config.navigationBarTextStyle ?? 'black';
    this.element.style.background = config.backgroundColor ?? '';
  }

  load(): void {
    const query = this.url.split('?')[1] ?? '';
    const pairs = query.split('&').filter(Boolean);
    // WeChat passes the values on without decoding them.
    const options = Object.fromEntries(
      pairs.map((pair) => {
        const [key = '', ...value] = pair.split('=');
        return [key, value.join('=')];
      }),
    );
    Object.assign(this.page, { route: this.path, options });
    this.page.onLoad?.(options);
  }

  show(): void {
    this.element.hidden = false;
    this.takeFocus();
    this.enter();
  }

  /** A keyboard, or a screen reader, goes on where it was, or begins with the title. */
  private takeFocus(): void {
    const { left, heading } = this;
    this.left = null;
    // Not within a page's own `setData`: the page may set the focus itself.
    queueMicrotask(() => {
      const isField = left?.matches('input, textarea');
      const target = left?.isConnected && !isField ? left : heading;
      if (isLost() && !this.element.hidden && target instanceof HTMLElement) target.focus({ preventScroll: true });
    });
  }

  hide(): void {
    const { activeElement } = document;
    this.left = this.element.contains(activeElement) ? activeElement : null;
    this.leave();
    this.element.hidden = true;
  }

  /** The page comes before the user, by itself or with the app. */
  enter(): void {
    this.page.onShow?.();
    this.root.getComponent().triggerPageLifetime('show', []);
  }

  leave(): void {
    this.page.onHide?.();
    this.root.getComponent().triggerPageLifetime('hide', []);
  }

  resize(): void {
    const size = { size: { windowWidth: window.innerWidth, windowHeight: window.innerHeight } };
    this.page.onResize?.(size);
    this.root.getComponent().triggerPageLifetime('resize', [size]);
  }

  unload(): void {
    this.page.onUnload?.();
    // A page may get an answer after it was closed: it then draws nothing.
    this.page.setData = () => undefined;
    this.root.release();
    this.element.remove();
  }
}

function backButton(back: BackButton): HTMLElement {
  const button = document.createElement('button');
  button.className = 'mp-back';
  button.type = 'button';
  button.ariaLabel = back.label;
  button.addEventListener('click', back.press);
  return button;
}
