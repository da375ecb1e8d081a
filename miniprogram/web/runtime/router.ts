// The stack of pages, and navigation between them.

import { closeLast } from './closers';
import { tellUnread } from './notices';
import { say } from './language';
import type { WindowConfig, Program } from './program';
import { Screen, type PageInstance, type PageRoot } from './screen';
import { TabBar } from './tab-bar';
import { onThemeChange, theme, themed } from './theme';
import { onBack, record } from './trail';

/** The most pages that a mini program may have open. */
const MAX_PAGES = 10;

export class Router {
  /** The bottom page first. */
  private stack: Screen[] = [];
  /** Opened pages of the bar at the bottom, which stay alive. */
  private readonly tabs = new Map<string, Screen>();
  readonly tabBar: TabBar | undefined;
  /** The texts of the badges, by the index of the tab. */
  private readonly badges = new Map<number, string>();

  constructor(
    private readonly program: Program,
    private readonly host: HTMLElement,
    private readonly createRoot: (path: string) => PageRoot,
  ) {
    const bar = program.app.tabBar;
    if (bar) {
      this.tabBar = new TabBar(bar, program.images, (path) => {
        this.switchTab(`/${path}`);
      });
      host.append(this.tabBar.element);
    }
    this.paint();
    onThemeChange(() => {
      this.paint();
    });
    onBack((depth) => {
      // Going back closes what is over the page first, and the page stays.
      if (depth < this.stack.length && closeLast()) {
        this.record(true);
        return;
      }
      const surplus = this.stack.length - Math.max(depth, 1);
      if (surplus > 0) this.navigateBack(surplus);
      else this.record(false);
    });
  }

  get top(): Screen {
    const top = this.stack.at(-1);
    if (!top) throw new Error('no page is open');
    return top;
  }

  get pages(): PageInstance[] {
    return this.stack.map((screen) => screen.page);
  }

  /** Opens these pages, each on the one before, without those that do not exist. */
  start(urls: string[]): void {
    for (const url of urls.filter((each) => this.isPage(each))) {
      this.stack.at(-1)?.hide();
      this.push(url);
    }
    if (this.stack.length === 0) this.push(`/${this.program.app.pages[0] ?? ''}`);
    this.record(false);
  }

  navigateTo(url: string): boolean {
    if (!this.isPage(url) || this.tabBar?.has(pathOf(url)) || this.stack.length >= MAX_PAGES) return false;
    this.top.hide();
    this.push(url);
    this.record(true);
    return true;
  }

  redirectTo(url: string): boolean {
    if (!this.isPage(url) || this.tabBar?.has(pathOf(url))) return false;
    this.pop();
    this.push(url);
    this.record(false);
    return true;
  }

  reLaunch(url: string): boolean {
    if (!this.isPage(url)) return false;
    while (this.stack.length > 0) this.pop();
    for (const tab of this.tabs.values()) tab.unload();
    this.tabs.clear();
    this.push(url);
    this.record(false);
    return true;
  }

  switchTab(url: string): boolean {
    const path = pathOf(url);
    if (!this.isPage(url) || !this.tabBar?.has(path)) return false;
    if (this.top.path === path) return true;
    while (this.stack.length > 1) this.pop();
    if (this.top.path === path) this.showTop();
    else {
      if (this.tabs.has(this.top.path)) {
        this.top.hide();
        this.stack = [];
      } else this.pop();
      this.push(`/${path}`);
    }
    this.record(false);
    return true;
  }

  navigateBack(delta: number): boolean {
    if (this.stack.length < 2) return false;
    for (let left = delta; left > 0 && this.stack.length > 1; left--) this.pop();
    this.showTop();
    this.record(false);
    return true;
  }

  setTitle(title: string): void {
    this.top.title = title;
    this.showTitle();
  }

  /** An empty text removes the badge. */
  setBadge(index: number, text: string): void {
    // `99+` is as many as before.
    if (parseInt(text) > (parseInt(this.badges.get(index) ?? '') || 0)) tellUnread(this.top.title, text);
    this.badges.set(index, text);
    this.tabBar?.setBadge(index, text);
    this.showTitle();
  }

  /** In the browser's tab: the title, after the number of the first badge. */
  private showTitle(): void {
    const count = [...this.badges.values()].find((text) => text !== '');
    document.title = count ? `(${count}) ${this.top.title}` : this.top.title;
  }

  private isPage(url: string): boolean {
    return this.program.app.pages.includes(pathOf(url));
  }

  private push(url: string): void {
    const path = pathOf(url);
    const kept = this.tabs.get(path);
    if (kept) {
      this.stack.push(kept);
      this.showTop();
      return;
    }
    const isTab = this.tabBar?.has(path) ?? false;
    const screen = new Screen(
      path,
      url,
      this.createRoot(path),
      this.backButton(path, isTab),
      this.stack.length === 0,
    );
    screen.title = this.windowOf(path).navigationBarTitleText ?? '';
    screen.paint(this.windowOf(path));
    if (isTab) this.tabs.set(path, screen);
    this.stack.push(screen);
    this.host.insertBefore(screen.element, this.tabBar?.element ?? null);
    screen.load();
    // A page that navigates away in `onLoad` is never shown.
    if (this.stack.at(-1) !== screen) return;
    this.showTop();
    requestAnimationFrame(() => screen.page.onReady?.());
  }

  private backButton(path: string, isTab: boolean) {
    const press = () => {
      if (!this.navigateBack(1)) this.reLaunch(`/${this.program.app.pages[0] ?? ''}`);
    };
    // A page that was opened by a link has no page below it: going back opens the first page.
    const isFirst = this.stack.length === 0 && path === this.program.app.pages[0];
    const leadsBack = !isTab && !isFirst;
    return leadsBack ? { label: say('返回', 'Back'), press } : undefined;
  }

  private pop(): void {
    const screen = this.stack.pop();
    if (!screen) return;
    this.tabs.delete(screen.path);
    screen.unload();
  }

  private showTop(): void {
    this.tabBar?.select(this.top.path);
    this.showTitle();
    this.top.show();
  }

  private record(isDeeper: boolean): void {
    record(
      this.stack.map((screen) => screen.url),
      isDeeper,
    );
  }

  private windowOf(path: string): WindowConfig {
    const config = { ...this.program.app.window, ...this.program.parts[path] };
    return themed(config, this.program.theme[theme()]);
  }

  private paint(): void {
    for (const screen of new Set([...this.stack, ...this.tabs.values()]))
      screen.paint(this.windowOf(screen.path));
    const bar = this.program.app.tabBar;
    if (bar) this.tabBar?.paint(themed(bar, this.program.theme[theme()]));
  }
}

function pathOf(url: string): string {
  return (url.split('?')[0] ?? '').replace(/^\//, '');
}
