// The client core as one minified file, for other bundlers, and for browsers without one.

import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { build, transform } from 'esbuild';
import ts from 'typescript';

/** The path of a file that is named from this folder. */
export const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
/** The folder of the core's source. */
export const CORE = here('../miniprogram/imkit/core/');

/** What base libraries of WeChat from 3.0 on, and browsers of 2021, understand. */
const TARGET = 'es2020';

/** The files whose names are used outside: by importers of the core, on the wire, and in storage. */
const KNOWN = ['types.ts', 'platform.ts', 'shown.ts', 'api.ts', 'wire.ts', 'saved.ts', 'error.ts'];

/** The names of all properties that a file declares. */
function declared(file: string): string[] {
  const names: string[] = [];
  const visit = (node: ts.Node) => {
    const isProperty =
      ts.isPropertySignature(node) ||
      ts.isMethodSignature(node) ||
      ts.isPropertyAssignment(node) ||
      ts.isShorthandPropertyAssignment(node) ||
      ts.isPropertyDeclaration(node) ||
      (ts.isParameter(node) && ts.isParameterPropertyDeclaration(node, node.parent));
    if (isProperty && ts.isIdentifier(node.name)) names.push(node.name.text);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, fs.readFileSync(file, 'utf8'), ts.ScriptTarget.ES2020, true));
  return names;
}

/** The properties of the language's own objects. */
function standard(): string[] {
  const folder = path.dirname(fileURLToPath(import.meta.resolve('typescript')));
  const names = fs.readdirSync(folder).filter((name) => /^lib\.es(5|20(1[5-9]|20)(\.\w+)*)\.d\.ts$/.test(name));
  return names.flatMap((name) => declared(path.join(folder, name)));
}

/**
 * The bundle's text. Properties that only the core uses get short names, as its variables do:
 * all but those that the language or one of `KNOWN` declares, and those in quotes.
 */
export async function bundle(): Promise<string> {
  const kept = new Set([...standard(), ...KNOWN.flatMap((file) => declared(CORE + file))]);
  const { outputFiles } = await build({
    entryPoints: [`${CORE}index.ts`],
    bundle: true,
    minify: true,
    format: 'esm',
    target: TARGET,
    write: false,
    legalComments: 'none',
    mangleProps: /^[a-z]\w*$/i,
    reserveProps: new RegExp(`^(${[...kept].join('|')})$`),
  });
  // Once more, in one scope: the variables get their names by how often they are used in the whole file.
  const { code } = await transform(outputFiles[0]?.text ?? '', { minify: true, format: 'esm', target: TARGET });
  return code;
}
