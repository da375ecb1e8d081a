// The compiled mini program that the compiler passes to the runner.

/** An entry of the bar at the bottom. */
export interface Tab {
  pagePath: string;
  text: string;
  iconPath?: string;
  selectedIconPath?: string;
}

/** The window settings of `app.json` and of a page's JSON. */
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
  /** The URLs of the pictures that the configuration names. */
  images: Record<string, string>;
  /** What is there from the beginning. */
  first: Package;
}

/** Some pages, and the components that they use. */
export interface Package {
  /** Pages and components by path, each after the ones that it uses. */
  parts: Record<string, PartConfig>;
  /** The prefix of a component's classes. */
  scopes: Record<string, string>;
  /** The templates of pages and components, in the framework's form. */
  templates: Record<string, unknown>;
  /** Runs the script of the app, of a page or of a component. */
  scripts: Record<string, () => unknown>;
}

/** The JSON of a page or a component. */
export type PartConfig = WindowConfig & {
  component?: boolean;
  usingComponents?: Record<string, string>;
  componentPlaceholder?: Record<string, string>;
};
