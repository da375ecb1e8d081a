// The bar at the bottom.

import type { TabBarConfig } from './program';

export class TabBar {
  readonly element = document.createElement('nav');
  private readonly buttons: HTMLButtonElement[];
  private selected = -1;

  constructor(
    private readonly config: TabBarConfig,
    private readonly images: Record<string, string>,
    choose: (path: string) => void,
  ) {
    this.element.className = 'mp-tabs';
    this.element.hidden = true;
    this.buttons = config.list.map((tab) => {
      const button = document.createElement('button');
      button.type = 'button';
      const icon = document.createElement('img');
      icon.alt = '';
      const badge = document.createElement('b');
      badge.hidden = true;
      const text = document.createElement('span');
      text.textContent = tab.text;
      button.append(icon, text, badge);
      button.addEventListener('click', () => {
        choose(tab.pagePath);
      });
      return button;
    });
    this.element.append(...this.buttons);
  }

  has(path: string): boolean {
    return this.config.list.some((tab) => tab.pagePath === path);
  }

  select(path: string): void {
    this.selected = this.config.list.findIndex((tab) => tab.pagePath === path);
    this.element.hidden = this.selected < 0;
    // A page that leads to another one at once does not load the pictures.
    requestAnimationFrame(() => {
      this.draw();
    });
  }

  /** Colours the bar. */
  paint(colors: TabBarConfig): void {
    const { style } = this.element;
    style.background = colors.backgroundColor;
    style.setProperty('--color', colors.color);
    style.setProperty('--selected', colors.selectedColor);
  }

  setText(index: number, text: string): void {
    const label = this.buttons[index]?.querySelector('span');
    if (label) label.textContent = text;
  }

  /** An empty text removes the badge. */
  setBadge(index: number, text: string): void {
    const badge = this.buttons[index]?.querySelector('b');
    if (!badge) return;
    badge.textContent = text;
    badge.hidden = text === '';
  }

  private draw(): void {
    if (this.element.hidden) return;
    this.config.list.forEach((tab, index) => {
      const button = this.buttons[index];
      const icon = button?.querySelector('img');
      const isSelected = index === this.selected;
      const name = isSelected ? tab.selectedIconPath : tab.iconPath;
      if (icon && name) icon.src = this.images[name] ?? '';
      button?.setAttribute('aria-current', isSelected ? 'page' : 'false');
    });
  }
}
