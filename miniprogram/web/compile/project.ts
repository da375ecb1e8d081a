// Reads a mini program's configuration: its pages and components, and their files.

import fs from 'node:fs';
import path from 'node:path';

import { checkUse, pagesOf, rootsOf, type Subpackage } from './packages';

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
  /** Those of the main package. */
  pages: string[];
  subpackages?: Subpackage[];
  /** The same: WeChat takes either name. */
  subPackages?: Subpackage[];
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
  /** The pages of all packages. */
  pages: string[];
  /** The folders of subpackages. */
  subpackages: string[];
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

/** The mini program's folder: the one that `project.config.json` names, or the given one, if it has no such file. */
export function rootOf(folder: string): string {
  const config = path.join(folder, 'project.config.json');
  if (!fs.existsSync(config)) return folder;
  const { miniprogramRoot = '' } = JSON.parse(fs.readFileSync(config, 'utf8')) as { miniprogramRoot?: string };
  return path.join(folder, miniprogramRoot);
}

/** Reads the mini program in a folder. Throws if WeChat would refuse its configuration. */
export function open(root: string): Project {
  const json = (file: string): unknown => (has({ root }, file) ? JSON.parse(read({ root }, file)) : {});
  if (!has({ root }, 'app.json')) throw new Error(`${root} has no app.json`);
  const app = json('app.json') as AppConfig;
  const [pages, subpackages] = [pagesOf(app), rootsOf(app)];
  const parts = new Map<string, PartConfig>();
  const begun = new Set<string>();
  const visit = (part: string, isPage: boolean) => {
    if (begun.has(part)) return;
    begun.add(part);
    const config = json(`${part}.json`) as PartConfig;
    config.component = !isPage;
    const own = config.usingComponents ?? {};
    config.usingComponents = { ...app.usingComponents, ...own };
    for (const [tag, target] of Object.entries(config.usingComponents)) {
      const used = resolve(part, target);
      if (!has({ root }, `${used}.json`)) throw new Error(`${part}.json: <${tag}> is ${used}, which does not exist`);
      // The app's components are every page's, so that each package has to see them.
      checkUse(subpackages, tag in (app.usingComponents ?? {}) && !(tag in own) ? 'app.json' : `${part}.json`, used);
      visit(used, false);
      config.usingComponents[tag] = `/${used}`;
    }
    parts.set(part, config);
  };
  for (const page of pages) {
    const isThere = (...suffixes: string[]) => suffixes.some((suffix) => has({ root }, `${page}.${suffix}`));
    if (!isThere('wxml') || !isThere('ts', 'js')) {
      throw new Error(`app.json: the page ${page} is missing; it needs a wxml file, and a ts or js file`);
    }
    visit(page, true);
  }
  const theme = (app.themeLocation ? json(app.themeLocation) : {}) as Project['theme'];
  return { root, app, pages, subpackages, theme, parts };
}
