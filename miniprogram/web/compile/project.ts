// Reads a mini program's configuration: its pages and components, and their files.

import fs from 'node:fs';
import path from 'node:path';

/** The JSON of a page or a component. */
export interface PartConfig {
  component?: boolean;
  usingComponents?: Record<string, string>;
  /** What stands for a component until it is loaded, by its tag. */
  componentPlaceholder?: Record<string, string>;
  styleIsolation?: string;
  [key: string]: unknown;
}

/** The parts of `app.json` that the runner uses. */
export interface AppConfig {
  pages: string[];
  window?: Record<string, unknown>;
  tabBar?: { list: TabItem[]; [key: string]: unknown };
  usingComponents?: Record<string, string>;
  themeLocation?: string;
  [key: string]: unknown;
}

/** An entry of the bar at the bottom. */
export interface TabItem {
  pagePath: string;
  text: string;
  iconPath?: string;
  selectedIconPath?: string;
}

/** A mini program, read. Paths are relative to its root and have no suffix. */
export interface Project {
  root: string;
  app: AppConfig;
  /** The variables of `theme.json`, such as `@bar`, for each theme. */
  theme: Record<string, Record<string, string>>;
  /** Pages and components, each after the ones that it uses. */
  parts: Map<string, PartConfig>;
}

/** The path of `to`, as written in the file `from`. */
export function resolve(from: string, to: string): string {
  if (to.startsWith('/')) return to.slice(1);
  return path.posix.normalize(path.posix.join(path.posix.dirname(from), to));
}

export function read(project: Pick<Project, 'root'>, file: string): string {
  return fs.readFileSync(path.join(project.root, file), 'utf8');
}

export function has(project: Pick<Project, 'root'>, file: string): boolean {
  return fs.existsSync(path.join(project.root, file));
}

/** Reads the mini program in a folder. */
export function open(root: string): Project {
  const json = (file: string): unknown => (has({ root }, file) ? JSON.parse(read({ root }, file)) : {});
  const app = json('app.json') as AppConfig;
  const parts = new Map<string, PartConfig>();
  const begun = new Set<string>();
  const visit = (part: string, isPage: boolean) => {
    if (begun.has(part)) return;
    begun.add(part);
    const config = json(`${part}.json`) as PartConfig;
    config.component = !isPage;
    config.usingComponents = { ...app.usingComponents, ...config.usingComponents };
    for (const [tag, target] of Object.entries(config.usingComponents)) {
      const used = resolve(part, target);
      visit(used, false);
      config.usingComponents[tag] = `/${used}`;
    }
    parts.set(part, config);
  };
  for (const page of app.pages) visit(page, true);
  const theme = (app.themeLocation ? json(app.themeLocation) : {}) as Project['theme'];
  return { root, app, theme, parts };
}
