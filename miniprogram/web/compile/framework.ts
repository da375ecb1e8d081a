// Takes the component framework from its source, as its own builds for one kind of backend do: our backend is like the
// DOM, and what is for others, or for development, falls away.

import fs from 'node:fs';
import path from 'node:path';

import type { Plugin } from 'esbuild';

/** The constants by which the framework's own builds differ: see its `rollup.config.ts`. */
const CONSTANTS: Record<string, string> = {
  'BM.DYNAMIC': 'false',
  'BM.SHADOW': 'false',
  'BM.COMPOSED': 'false',
  'BM.DOMLIKE': 'true',
  'ENV.DEV': 'false',
};

/** What the framework calls its own, inside: the names may be shorter. */
export const PRIVATE = /^_\$/;

export const framework: Plugin = {
  name: 'framework',
  setup(build) {
    build.onResolve({ filter: /^glass-easel(-miniprogram-adapter)?$/ }, async (given) => {
      if (given.pluginData === 'found') return undefined;
      const { kind, resolveDir } = given;
      const found = await build.resolve(given.path, { kind, resolveDir, pluginData: 'found' });
      return { path: path.join(path.dirname(found.path), '../src/index.ts') };
    });
    build.onLoad({ filter: /\/glass-easel(-miniprogram-adapter)?\/src\/.*\.ts$/ }, ({ path: file }) => {
      const source = fs
        .readFileSync(file, 'utf8')
        .replace(/\b(?:BM|ENV)\.[A-Z]+\b/g, (name) => CONSTANTS[name] ?? name)
        // A type: TypeScript drops that.
        .replace('export { TmplDevArgs }', 'export type { TmplDevArgs }')
        .replace(/'_\$\w+'/g, '/* @__KEY__ */ $&');
      return { contents: withEnums(source, file), loader: 'ts' };
    });
  },
};

/**
 * Copies the constant enums that a file imports into it. TypeScript drops such an import; for esbuild it would be one
 * more circle among the modules, and they would run in another order.
 */
function withEnums(source: string, file: string): string {
  const copied: string[] = [];
  const imports = /^import \{([^}]*)\} from '(\.[^']*)'/gm;
  const rest = source.replace(imports, (all, names: string, from: string) => {
    const other = path.resolve(path.dirname(file), from);
    const found = [`${other}.ts`, path.join(other, 'index.ts'), path.join(other, 'shared.ts')]
      .filter((each) => fs.existsSync(each))
      .flatMap((each) => Array.from(fs.readFileSync(each, 'utf8').matchAll(/^export (const enum (\w+) \{[^}]*\})/gm)));
    const kept = names.split(',').filter((name) => {
      const [, text] = found.find(([, , named]) => named === name.trim()) ?? [];
      if (text !== undefined) copied.push(text);
      return text === undefined && name.trim() !== '';
    });
    return kept.length === names.split(',').filter((name) => name.trim() !== '').length
      ? all
      : `import {${kept.join(',')}} from '${from}'`;
  });
  return `${rest}\n${copied.join('\n')}`;
}
