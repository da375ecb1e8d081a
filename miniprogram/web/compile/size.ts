// How large a folder of a mini program is in the package that WeChat loads.

import fs from 'node:fs';
import path from 'node:path';

import { transform } from 'esbuild';
import ts from 'typescript';

/**
 * The bytes of all files but `.md`, as DevTools packs them with `es6`, `enhance` and `minified`: each script by itself as
 * CommonJS of ES5, with helpers that all share, and minified; style sheets and JSON minified; the rest as it is.
 */
export async function packedSize(folder: string): Promise<number> {
  const names = fs.readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const sizes = names.map(async (name) => {
    const file = path.join(folder, name);
    if (!fs.statSync(file).isFile() || name.endsWith('.md')) return 0;
    return Buffer.byteLength(await packed(file));
  });
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

async function packed(file: string): Promise<Buffer | string> {
  const bytes = fs.readFileSync(file);
  switch (path.extname(file)) {
    case '.ts':
      return (await transform(toES5(bytes.toString()), { minify: true, target: 'es5' })).code;
    case '.wxss':
      return (await transform(bytes.toString(), { loader: 'css', minify: true })).code;
    case '.json':
      return JSON.stringify(JSON.parse(bytes.toString()));
    default:
      return bytes;
  }
}

function toES5(source: string): string {
  const { outputText } = ts.transpileModule(source, {
    compilerOptions: {
      // eslint-disable-next-line @typescript-eslint/no-deprecated -- what DevTools makes
      target: ts.ScriptTarget.ES5,
      module: ts.ModuleKind.CommonJS,
      importHelpers: true,
      // eslint-disable-next-line @typescript-eslint/no-deprecated -- the same
      downlevelIteration: true,
    },
  });
  return outputText;
}
