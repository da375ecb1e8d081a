// A compiled mini program, as the compiler hands it to the runner.

/** An entry of the bar at the bottom. */
export interface Tab {
  pagePath: string;
  text: string;
  iconPath?: string;
  selectedIconPath?: string;
}

/** What `app.json` and a page's JSON say about the window. */
export interface WindowConfig {
  navigationBarTitleText?: string;
  navigationBarBackgroundColor?: string;
  navigationBarTextStyle?: string;
  backgroundColor?: string;
  enablePullDownRefresh?: boolean;
}

export interface TabBarConfig {
  color: string;
  selectedColor: string;
  backgroundColor: string;
  list: Tab[];
}

export interface Program {
  app: { pages: string[]; window?: WindowConfig; tabBar?: TabBarConfig };
  /** The values of variables such as `@bar`, for each theme. */
  theme: { light?: Record<string, string>; dark?: Record<string, string> };
  /** Pages and components by path, each after those that it uses. */
  parts: Record<string, WindowConfig & { component?: boolean; usingComponents?: Record<string, string> }>;
  /** The prefix of a component's classes. */
  scopes: Record<string, string>;
  /** What draws each page and component; the framework's own form. */
  templates: Record<string, unknown>;
  /** Runs the script of `app`, of a page or of a component. */
  scripts: Record<string, () => unknown>;
  /** The pictures that the configuration names, as `data:` URLs. */
  images: Record<string, string>;
}
