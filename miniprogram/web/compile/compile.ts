// Compiles a mini program, and the pages beside it, to the files that a browser needs.

import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { build, transform, type Metafile } from 'esbuild';

import { checkUse } from './packages';
import { open, type Project } from './project';
import { compileStyles } from './styles';
import { compileTemplates } from './templates';

const web = fileURLToPath(new URL('..', import.meta.url));

/** The language of the output: browsers of 2022 and newer. */
const TARGET = 'es2021';

/** The files, by name. */
export type Files = Record<string, string>;

/** Compiles the mini program in a folder, with the runner and its pages. */
export async function compile(folder: string): Promise<Files> {
  const root = path.resolve(folder);
  const project = open(root);
  const styles = compileStyles(project);
  const page = (file: string) => fs.readFileSync(path.join(web, 'page', file), 'utf8');
  const css = async (source: string) => {
    const { code } = await transform(source, {
      loader: 'css',
      minify: true,
      target: ['chrome90', 'safari15'],
    });
    return code;
  };
  const assets: Files = {
    'app.css': await css(`${page('base.css')}\n${styles.css}`),
    'app.js': await script(entry(project, styles.scopes), root, (built) => {
      checkImports(project, built);
    }),
    'demo.css': await css(page('demo.css')),
    'demo.js': await script(`import './page/demo.ts'`, web),
    'console.css': await css(page('console.css')),
    'console.js': await script(`import './console/main.tsx'`, web),
  };
  const html = (file: string) => withVersions(page(file), assets);
  return { ...assets, 'console.html': html('console.html'), 'demo.html': html('demo.html'), 'index.html': html('index.html') };
}

/** Adds the hash of its content to each URL of a file, so that browsers can cache it for ever. */
function withVersions(html: string, assets: Files): string {
  return html.replace(/"(\/(?:page|console)\/)([^"]+)"/g, (_, folder: string, name: string) => {
    const content = assets[name];
    if (content === undefined) throw new Error(`there is no file ${name}`);
    const version = createHash('sha256').update(content).digest('hex').slice(0, 16);
    return `"${folder}${name}?v=${version}"`;
  });
}

/** The module that starts the runner with the compiled mini program. */
function entry(project: Project, scopes: Record<string, string>): string {
  const module = (file: string) => `() => require(${JSON.stringify(path.join(project.root, file))})`;
  const scripts = ['app', ...project.parts.keys()].map((part) => `${JSON.stringify(part)}: ${module(part)}`);
  const icons = (project.app.tabBar?.list ?? []).flatMap((item) => [item.iconPath, item.selectedIconPath]);
  const images = icons
    .filter((icon) => icon !== undefined)
    .map((icon) => `${JSON.stringify(icon)}: require(${JSON.stringify(path.join(project.root, icon))})`);
  return `
    import { start } from ${JSON.stringify(path.join(web, 'runtime/main.ts'))}
    start({
      app: ${JSON.stringify({ ...project.app, pages: project.pages })},
      theme: ${JSON.stringify(project.theme)},
      parts: ${JSON.stringify(Object.fromEntries(project.parts))},
      scopes: ${JSON.stringify(scopes)},
      templates: ${compileTemplates(project)},
      scripts: { ${scripts.join(',\n')} },
      images: { ${images.join(',\n')} },
    })`;
}

/** Throws if a package imports a script of a subpackage that it does not see. */
function checkImports(project: Project, { inputs }: Metafile): void {
  const inProject = (file: string) => path.relative(project.root, path.resolve(project.root, file));
  for (const [from, { imports }] of Object.entries(inputs)) {
    // The runner starts all scripts.
    if (from === '<stdin>') continue;
    for (const { path: to } of imports) checkUse(project.subpackages, inProject(from), inProject(to));
  }
}

/** Bundles a module and all that it imports into one script. `check` throws if there is something wrong with it. */
async function script(source: string, resolveDir: string, check?: (built: Metafile) => void): Promise<string> {
  const { outputFiles, metafile } = await build({
    absWorkingDir: path.resolve(resolveDir),
    metafile: true,
    stdin: { contents: source, resolveDir, loader: 'ts' },
    nodePaths: [path.join(web, '../node_modules')],
    bundle: true,
    write: false,
    minify: true,
    format: 'iife',
    target: TARGET,
    jsx: 'automatic',
    jsxImportSource: 'preact',
    loader: { '.png': 'dataurl' },
    legalComments: 'none',
    logLevel: 'error',
    define: { 'process.env.NODE_ENV': '"production"' },
  });
  check?.(metafile);
  return outputFiles[0]?.text ?? '';
}
