// Compiles a mini program, and the pages beside it, to the files that a browser needs.

import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { transform } from 'esbuild';

import { FIRST_TAGS, TAGS } from '../tags';
import { bundle, script } from './bundle';
import { divide, FIRST, type Division } from './division';
import { checkUse } from './packages';
import { open, type Project } from './project';
import { compileStyles, type Styles } from './styles';
import { compileTemplates, tagsOf } from './templates';

const web = fileURLToPath(new URL('..', import.meta.url));

/** The package with the second half of the runner. */
const RUNNER = 'wx';

/** The files, by name. */
export type Files = Record<string, string | Buffer>;

/** Compiles the mini program in a folder, with the runner and its pages. */
export async function compile(folder: string, division: Division = {}): Promise<Files> {
  const root = path.resolve(folder);
  const project = open(root);
  const styles = compileStyles(project);
  const packages = divide(project, division);
  const languages = Object.entries(division.languages ?? {});
  const icons = readIcons(project);
  const sources = Object.entries(packages).map(([name, parts]) => [name, entry(project, styles, name, parts, icons)]);
  const apart = Object.fromEntries(languages.map(([name, file]) => [name, path.join(root, file)]));
  const modules = await bundle(
    { ...(Object.fromEntries(sources) as Record<string, string>), [RUNNER]: `export * from ${JSON.stringify(path.join(web, 'runtime/second.ts'))}` },
    FIRST,
    apart,
    root,
    (from, to) => {
      checkImport(project, from, to);
    },
  );
  const sheets = await Promise.all(
    Object.entries(packages).map(async ([name, parts]) => [`${name}.css`, await css(sheetOf(name, parts, styles))] as const),
  );
  const build = hash(JSON.stringify(modules));
  const assets: Files = {
    ...Object.fromEntries(icons),
    ...Object.fromEntries(sheets.filter(([, text]) => text !== '')),
    ...Object.fromEntries(Object.entries(modules).map(([name, text]) => [`${name}.js`, `mp.define("${build}",${text})`])),
    'demo.css': await css(page('demo.css')),
    'demo.js': await script(`import './page/demo.ts'`, web),
    'console.css': await css(page('console.css')),
    'console.js': await script(`import './console/main.tsx'`, web),
  };
  const urls = (names: string[], suffix: string) => {
    const there = names.filter((name) => `${name}${suffix}` in assets);
    return JSON.stringify(Object.fromEntries(there.map((name) => [name, url(`${name}${suffix}`, assets)])));
  };
  const later = Object.keys(packages).filter((name) => name !== FIRST);
  assets['boot.js'] = await script(`import './runtime/boot.ts'`, web, {
    BUILD: JSON.stringify(build),
    SCRIPTS: urls(Object.keys(modules), '.js'),
    STYLES: urls(later, '.css'),
    FIRST: JSON.stringify(isWhole(project, packages[FIRST]) ? [FIRST] : [FIRST, RUNNER]),
    PACKAGES: JSON.stringify(packagesOf(project, packages, division)),
    LANGUAGES: JSON.stringify(languages.map(([name]) => name)),
  });
  const html = (file: string) => withVersions(page(file), assets);
  return { ...assets, 'console.html': html('console.html'), 'demo.html': html('demo.html'), 'index.html': html('index.html') };
}

function page(file: string): string {
  return fs.readFileSync(path.join(web, 'page', file), 'utf8');
}

async function css(source: string): Promise<string> {
  const { code } = await transform(source, { loader: 'css', minify: true, target: ['chrome90', 'safari15'] });
  return code;
}

function hash(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex').slice(0, 16);
}

/** The URL of a file, with the hash of its content, so that browsers can cache it for ever. */
function url(name: string, assets: Files, folder = '/page/'): string {
  const content = assets[name];
  if (content === undefined) throw new Error(`there is no file ${name}`);
  return `${folder}${name}?v=${hash(content)}`;
}

function withVersions(html: string, assets: Files): string {
  return html.replace(/"(\/(?:page|console)\/)([^"]+)"/g, (_, folder: string, name: string) => `"${url(name, assets, folder)}"`);
}

/** The style sheet of a package; the first one has what is around all pages, too. */
function sheetOf(name: string, parts: Set<string>, { sheets }: Styles): string {
  const own = [...parts].map((part) => sheets.get(part) ?? '');
  return (name === FIRST ? [page('base.css'), sheets.get('app') ?? '', ...own] : own).join('\n');
}

/** The package of each page, and of each component with a placeholder, that is not in the first one. */
function packagesOf(
  { pages }: Project,
  packages: Record<string, Set<string>>,
  { later = {} }: Division,
): Record<string, string> {
  const wanted = new Set([...pages, ...Object.values(later).flat()]);
  const all = Object.entries(packages).flatMap(([name, parts]) => [...parts].map((part) => [part, name] as const));
  return Object.fromEntries(all.filter(([part, name]) => name !== FIRST && wanted.has(part)));
}

/** Whether the first package does without the second half of the runner; with all pages in it, it never does. */
function isWhole(project: Project, first = new Set<string>()): boolean {
  if (first.size === project.parts.size) return false;
  const tags = [...first].flatMap((part) => [...tagsOf(project, part)]);
  return tags.every((tag) => !TAGS.has(tag) || FIRST_TAGS.has(tag));
}

/** The pictures of the bar at the bottom, by their names in the output. */
function readIcons(project: Project): Map<string, Buffer> {
  const icons = (project.app.tabBar?.list ?? []).flatMap((item) => [item.iconPath, item.selectedIconPath]);
  return new Map(
    icons
      .filter((icon) => icon !== undefined)
      .map((icon) => [path.basename(icon), fs.readFileSync(path.join(project.root, icon))]),
  );
}

/** The module of a package: its pages and components; the first one starts the runner with them. */
function entry(
  project: Project,
  { scopes }: Styles,
  name: string,
  parts: Set<string>,
  icons: Map<string, Buffer>,
): string {
  const isFirst = name === FIRST;
  const module = (file: string) => `() => require(${JSON.stringify(path.join(project.root, file))})`;
  const of = <T>(all: Iterable<[string, T]>) => Object.fromEntries([...all].filter(([part]) => parts.has(part)));
  const scripts = [...(isFirst ? ['app'] : []), ...parts].map((part) => `${JSON.stringify(part)}: ${module(part)}`);
  const own = `{
    parts: ${JSON.stringify(of(project.parts))},
    scopes: ${JSON.stringify(of(Object.entries(scopes)))},
    templates: ${compileTemplates(project, parts)},
    scripts: { ${scripts.join(',\n')} },
  }`;
  if (!isFirst) return `export const bundle = ${own}`;
  const named = (project.app.tabBar?.list ?? []).flatMap((item) => [item.iconPath, item.selectedIconPath]);
  const assets = Object.fromEntries(icons);
  const images = named
    .filter((icon) => icon !== undefined)
    .map((icon) => [icon, url(path.basename(icon), assets)]);
  return `
    import { start } from ${JSON.stringify(path.join(web, 'runtime/main.ts'))}
    export const run = () => start({
      app: ${JSON.stringify({ ...project.app, pages: project.pages })},
      theme: ${JSON.stringify(project.theme)},
      images: ${JSON.stringify(Object.fromEntries(images))},
      first: ${own},
    })`;
}

/** Throws if a script uses one of a subpackage that it does not see. Both are absolute paths. */
function checkImport(project: Project, from: string, to: string): void {
  const inProject = (file: string) => path.relative(project.root, file);
  checkUse(project.subpackages, inProject(from), inProject(to));
}
