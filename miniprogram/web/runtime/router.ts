// The stack of pages, and navigation between them.

import { closeLast } from './closers';
import { tellUnread } from './notices';
import { say } from './language';
import type { Packages } from './packages';
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
  /** Rises with each navigation: one that has waited for its page comes too late after another. */
  private turn = 0;

  constructor(
    private readonly program: Program,
    private readonly host: HTMLElement,
    private readonly packages: Packages,
    private readonly createRoot: (path: string) => PageRoot,
  ) {
    const bar = program.app.tabBar;
    if (bar) {
      this.tabBar = new TabBar(bar, program.images, (path) => {
        void Promise.resolve(this.when([path], () => this.switchTab(`/${path}`))).catch(() => undefined);
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

  /** What is on the screen; nothing at the very beginning. */
  get shown(): Screen | undefined {
    return this.stack.at(-1);
  }

  get top(): Screen {
    const top = this.shown;
    if (!top) throw new Error('no page is open');
    return top;
  }

  get pages(): PageInstance[] {
    return this.stack.map((screen) => screen.page);
  }

  /** Opens these pages, each on the one before, without those that do not exist; the first of all if there are none. */
  async start(urls: string[]): Promise<void> {
    const first = `/${this.program.app.pages[0] ?? ''}`;
    const open = (pages: string[]) => {
      this.host.querySelector('.mp-splash')?.remove();
      for (const url of pages) {
        this.stack.at(-1)?.hide();
        this.push(url);
      }
      this.record(false);
    };
    const pages = urls.filter((each) => this.isPage(each));
    try {
      await this.when(pages, () => {
        open(pages.length > 0 ? pages : [first]);
      });
    } catch {
      // Whoever does not want to wait goes on at the first page.
      if (this.stack.length === 0) open([first]);
    }
  }

  /**
   * Runs a navigation to these pages at once if their code is there, and when it has come otherwise. Rejects if the user
   * gives up, or goes elsewhere meanwhile.
   */
  when<Result>(urls: string[], run: () => Result): Result | Promise<Result> {
    const pages = urls.map(pathOf);
    if (pages.every((page) => this.packages.has(page))) return run();
    const turn = ++this.turn;
    return this.packages.bring(pages).then(() => {
      if (turn !== this.turn) throw new Error('another page was opened');
      return run();
    });
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
    if (!this.shown) return;
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
    this.turn++;
    record(
      this.stack.map((screen) => screen.url),
      isDeeper,
    );
  }

  private windowOf(path: string): WindowConfig {
    const config = { ...this.program.app.window, ...this.packages.parts[path] };
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
