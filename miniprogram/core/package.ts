// The client core as an npm package: for bundlers, for Node, and for WeChat's own npm build.

import fs from 'node:fs';
import path from 'node:path';

import ts from 'typescript';

import { bundle, CORE, here } from './bundle';

const PROJECT = here('../');
const ROOT = here('../../');
const LICENCES = ['LICENSE', 'LICENSE-MIT', 'LICENSE-APACHE'];

/** Writes the package's files into `folder`, from where `npm pack` and `npm publish` take them. */
export async function writePackage(folder: string): Promise<void> {
  const { version, license } = JSON.parse(fs.readFileSync(`${PROJECT}package.json`, 'utf8')) as Record<string, string>;
  const manifest = {
    name: 'imserver-client',
    version,
    description: 'The client core of imserver, real-time chat: for WeChat mini programs, browsers and Node',
    license,
    type: 'module',
    main: './dist/index.cjs',
    module: './dist/index.mjs',
    types: './index.d.ts',
    exports: {
      '.': {
        import: { types: './index.d.ts', default: './dist/index.mjs' },
        require: { types: './index.d.cts', default: './dist/index.cjs' },
      },
      './package.json': './package.json',
    },
    // DevTools copies this folder into `miniprogram_npm` as it is.
    miniprogram: 'miniprogram_dist',
    sideEffects: false,
    files: ['dist', 'miniprogram_dist', 'index.d.ts', 'index.d.cts', ...LICENCES],
  };
  const module = await bundle();
  const script = commonJs(module);
  const types = declarations();
  const readme = fs.readFileSync(`${CORE}README.md`, 'utf8');
  const files: Record<string, string> = {
    'package.json': `${JSON.stringify(manifest, null, 2)}\n`,
    'dist/index.mjs': module,
    'dist/index.cjs': script,
    'miniprogram_dist/index.js': script,
    'index.d.ts': types,
    // TypeScript takes a file's ending for the kind of its module, so `require` needs its own.
    'index.d.cts': types,
    // Links into the repository lead nowhere from here.
    'README.md': readme.replace(/\[([^\]]+)\]\((?!https?:)[^)]*\)/g, '$1'),
  };
  for (const name of LICENCES) files[name] = fs.readFileSync(ROOT + name, 'utf8');
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(folder, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, text);
  }
}

/** The bundle for `require`. esbuild's own way, or "use strict", would exceed the limit of the size; the core needs neither. */
function commonJs(module: string): string {
  const [clause, names] = /export\{([^{}]+)\};?\s*$/.exec(module) ?? [];
  if (clause === undefined || names === undefined) throw new Error('the bundle does not end in its exports');
  const assigned = names.split(',').map((each) => {
    const [local = '', name = local] = each.trim().split(' as ');
    return `exports.${name}=${local};`;
  });
  return `${module.slice(0, -clause.length)}${assigned.join('')}`;
}

/** The declarations of what `index.ts` exports, and of private names that these use, as one file. */
function declarations(): string {
  const { config } = ts.readConfigFile(`${PROJECT}tsconfig.im.json`, (name) => ts.sys.readFile(name)) as { config: unknown };
  const emit = { noEmit: false, declaration: true, emitDeclarationOnly: true };
  const { fileNames, options } = ts.parseJsonConfigFileContent(config, ts.sys, PROJECT, emit);
  const emitted = new Map<string, ts.SourceFile>();
  ts.createProgram(fileNames, options).emit(undefined, (name, text) => {
    emitted.set(path.basename(name, '.d.ts'), ts.createSourceFile(name, text, ts.ScriptTarget.ES2020, true));
  });
  const parts: string[] = [];
  emitted.get('index')?.forEachChild((line) => {
    if (!ts.isExportDeclaration(line) || !line.moduleSpecifier || !line.exportClause) return;
    const from = emitted.get(path.basename((line.moduleSpecifier as ts.StringLiteral).text));
    const exported = new Set(line.exportClause.getText().match(/\w+/g));
    const [taken, others] = split(from?.statements ?? [], (each) => namesOf(each).some((name) => exported.has(name)));
    const text = taken.map((each) => each.getFullText().trim()).join('\n');
    const used = others.filter((each) => namesOf(each).some((name) => new RegExp(`\\b${name}\\b`).test(text)));
    parts.push(...used.map((each) => each.getText()), text);
  });
  // Without the last line even private declarations of such a file are exported.
  return `${parts.join('\n')}\nexport {};\n`;
}

function split<T>(all: readonly T[], first: (one: T) => boolean): [T[], T[]] {
  return [all.filter(first), all.filter((one) => !first(one))];
}

function namesOf(statement: ts.Statement): string[] {
  if (ts.isVariableStatement(statement)) return statement.declarationList.declarations.map(({ name }) => name.getText());
  const { name } = statement as ts.Statement & { name?: ts.Node };
  return name ? [name.getText()] : [];
}
