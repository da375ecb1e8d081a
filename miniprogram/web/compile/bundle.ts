// Bundles the scripts of the page: one for each package, whose modules the first script (`runtime/boot.ts`) keeps. What
// two packages need is in both, unless the first one has it: then it is there alone.

import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { build, transform, type BuildOptions, type Plugin } from 'esbuild';

import { framework, PRIVATE } from './framework';

const here = fileURLToPath(new URL('../..', import.meta.url));

/** The language of the output: browsers of 2022 and newer. */
export const TARGET = 'es2021';

const OPTIONS = {
  absWorkingDir: here,
  nodePaths: [path.join(here, 'node_modules')],
  // The output is the same wherever the packages are installed.
  preserveSymlinks: true,
  bundle: true,
  write: false,
  minify: true,
  target: TARGET,
  jsx: 'automatic',
  jsxImportSource: 'preact',
  loader: { '.png': 'dataurl' },
  legalComments: 'none',
  // As the framework is compiled by its own builds.
  tsconfigRaw: { compilerOptions: { useDefineForClassFields: false } },
  logLevel: 'error',
  define: { 'process.env.NODE_ENV': '"production"' },
} satisfies BuildOptions;

/** Bundles a module and all that it imports into one script. */
export async function script(source: string, resolveDir: string, define: Record<string, string> = {}): Promise<string> {
  const { outputFiles } = await build({
    ...OPTIONS,
    stdin: { contents: source, resolveDir, loader: 'ts' },
    format: 'iife',
    define: { ...OPTIONS.define, ...define },
  });
  return outputFiles[0]?.text ?? '';
}

/** The modules of a script: an object of functions, by name. */
export type Modules = string;

/**
 * Bundles packages, each from the source of its entry; `first` is loaded before all others. Modules of the files in
 * `apart`, which have names, are no part of them: they are scripts of their own. `check` is asked about each file that
 * another one imports, by absolute paths, and throws if that may not be.
 */
export async function bundle(
  sources: Record<string, string>,
  first: string,
  apart: Record<string, string>,
  resolveDir: string,
  check: (from: string, to: string) => void,
): Promise<Record<string, Modules>> {
  const { outputFiles, metafile } = await build({
    ...OPTIONS,
    entryPoints: Object.keys(sources).map((name) => ({ in: `entry:${name}`, out: name })),
    outdir: path.join(here, 'out'),
    format: 'esm',
    splitting: true,
    metafile: true,
    plugins: [entries(sources, resolveDir), leaveOut(apart), framework],
    mangleProps: PRIVATE,
  });
  for (const [from, { imports }] of Object.entries(metafile.inputs)) {
    // The runner starts all scripts.
    if (from.startsWith('entry:')) continue;
    for (const { path: to } of imports) check(path.resolve(here, from), path.resolve(here, to));
  }
  const texts = new Map(outputFiles.map((file) => [path.relative(here, file.path), file.text]));
  const files = Object.keys(sources).map((name) => [name, path.join('out', `${name}.js`)] as const);
  const importsOf = (file: string): string[] =>
    (metafile.outputs[file]?.imports ?? []).filter(({ external }) => !external).map((each) => each.path);
  const needed = new Map(files.map(([name, file]) => [name, reach(file, importsOf)]));
  // A file that several packages need is named by them: its own name depends on where it was built.
  const nameOf = (file: string): string => {
    const own = files.find(([, each]) => each === file);
    return own?.[0] ?? files.flatMap(([name]) => (needed.get(name)?.has(file) ? [name] : [])).join('+');
  };
  const firstFiles = [...(needed.get(first) ?? [])].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  // How a script says what it requires.
  const requiring = (file: string): string => {
    const at = firstFiles.indexOf(file);
    return at < 0 ? `require(${JSON.stringify(nameOf(file))})` : `require(${JSON.stringify(first)}).m${at}`;
  };
  const functions = new Map<string, string>();
  for (const [file, text] of texts) {
    if (!firstFiles.includes(file)) functions.set(file, await asFunction(text, file, requiring));
  }
  const packages = files.map(([name]) => {
    const all = [...(needed.get(name) ?? [])].filter((file) => functions.has(file));
    const named = all.map((file) => [nameOf(file), functions.get(file) ?? ''] as const);
    return [name, object(named.sort(([a], [b]) => (a < b ? -1 : 1)))] as const;
  });
  packages.push([first, object([[first, wrap(await join(firstFiles, texts))]])]);
  const others = Object.entries(apart).map(async ([name, file]) => {
    const text = await build({ ...OPTIONS, entryPoints: [file], format: 'cjs' });
    return [name, object([[name, wrap(text.outputFiles[0]?.text ?? '')]])] as const;
  });
  return Object.fromEntries([...packages, ...(await Promise.all(others))]);
}

/**
 * Makes one module of several, which is smaller: what they export is in `m0`, `m1` and so on, and what the first one
 * exports is there by its own name, too.
 */
async function join(files: string[], texts: ReadonlyMap<string, string>): Promise<string> {
  const names = files.map((file, at) => `export * as m${at} from './${path.basename(file)}'`);
  const own: Plugin = {
    name: 'joined',
    setup(build) {
      build.onResolve({ filter: /^\.\.?\// }, (given) => ({ path: path.join('out', path.basename(given.path)), namespace: 'joined' }));
      build.onResolve({ filter: /^\w+$/ }, (given) => ({ path: given.path, external: true }));
      build.onLoad({ filter: /.*/, namespace: 'joined' }, (given) => ({ contents: texts.get(given.path) ?? '', loader: 'js' }));
    },
  };
  const { outputFiles } = await build({
    ...OPTIONS,
    stdin: { contents: [`export * from './${path.basename(files[0] ?? '')}'`, ...names].join('\n'), loader: 'js' },
    format: 'cjs',
    plugins: [own],
  });
  return outputFiles[0]?.text ?? '';
}

/** The files that this one needs, and itself. */
function reach(file: string, importsOf: (file: string) => string[], found = new Set<string>()): Set<string> {
  if (found.has(file)) return found;
  found.add(file);
  for (const each of importsOf(file)) reach(each, importsOf, found);
  return found;
}

/** Turns an ES module, whose imports other scripts have, into a function that `require` calls. */
async function asFunction(text: string, file: string, requiring: (file: string) => string): Promise<string> {
  const { code } = await transform(text, { format: 'cjs', minify: true, target: TARGET });
  const renamed = code.replace(/require\("(\.\.?\/[^"]+)"\)/g, (_, to: string) =>
    requiring(path.join(path.dirname(file), to)),
  );
  return wrap(renamed);
}

function wrap(code: string): string {
  return `(require,module,exports)=>{${code.trim()}}`;
}

function object(entries: (readonly [string, string])[]): Modules {
  return `{${entries.map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(',\n')}}`;
}

function entries(sources: Record<string, string>, resolveDir: string): Plugin {
  return {
    name: 'entries',
    setup(build) {
      build.onResolve({ filter: /^entry:/ }, (given) => ({ path: given.path.slice('entry:'.length), namespace: 'entry' }));
      build.onLoad({ filter: /.*/, namespace: 'entry' }, (given) => ({
        contents: sources[given.path] ?? '',
        resolveDir,
        loader: 'ts',
      }));
    },
  };
}

function leaveOut(apart: Record<string, string>): Plugin {
  return {
    name: 'apart',
    setup(build) {
      build.onResolve({ filter: /^\.\.?\// }, (given) => {
        const file = `${path.join(given.resolveDir, given.path)}.ts`;
        const found = Object.entries(apart).find(([, each]) => each === file);
        return found && { path: found[0], external: true };
      });
    },
  };
}
