// The kit as a folder that others copy, and the example of a host that has it in a subpackage: what WeChat requires of
// them, as far as one can tell without DevTools.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { pagesOf, type Subpackage } from '../../web/compile/packages';
import { resolve, rootOf } from '../../web/compile/project';
import { packedSize } from '../../web/compile/size';

const KIT = fileURLToPath(new URL('../../miniprogram/imkit', import.meta.url));
const EXAMPLE = fileURLToPath(new URL('../../../examples/embed', import.meta.url));

/** Components and core together. Its READMEs say so. */
const MOST_BYTES = 300 * 1024;

/** WeChat's own compilers. */
const official = createRequire(import.meta.url)('miniprogram-compiler') as {
  wxmlToJs: (root: string) => string;
  wxssToJs: (root: string) => string;
};

/** The example, with the copy of the kit that its README asks for. */
const host = fs.mkdtempSync(path.join(os.tmpdir(), 'kit-'));
fs.cpSync(EXAMPLE, host, { recursive: true });
fs.rmSync(path.join(host, 'miniprogram/chat/imkit'), { recursive: true, force: true });
fs.cpSync(KIT, path.join(host, 'miniprogram/chat/imkit'), { recursive: true });
after(() => {
  fs.rmSync(host, { recursive: true, force: true });
});
const root = rootOf(host);

const files = (folder: string, ...suffixes: string[]) =>
  fs
    .readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => suffixes.some((suffix) => name.endsWith(suffix)));
const read = (...parts: string[]) => fs.readFileSync(path.join(...parts), 'utf8');
const json = (...parts: string[]): unknown => JSON.parse(read(...parts));

/** The source without its comments. */
const code = (source: string) => source.replace(/\/\*[^]*?\*\/|^\s*\/\/.*$/gm, '');

test('the kit is small', async (t) => {
  const [all, core] = [await packedSize(KIT), await packedSize(path.join(KIT, 'core'))];
  t.diagnostic(`imkit: ${all} bytes, of which the core has ${core}`);
  assert.ok(all < MOST_BYTES, `${all} bytes`);
  for (const readme of ['../../README.md', '../../../examples/embed/README.md', '../../../examples/embed/README.zh-CN.md', '../../../README.md', '../../../README.zh-CN.md']) {
    assert.ok(read(fileURLToPath(new URL(readme, import.meta.url))).includes(`${MOST_BYTES / 1024} KB`), readme);
  }
});

test('the kit needs nothing from outside of its folder, wherever that is', () => {
  for (const name of files(KIT, '.ts')) {
    const source = code(read(KIT, name));
    for (const [, from = ''] of source.matchAll(/(?:from|import|require\()\s*'([^']+)'/g)) {
      assert.match(from, /^\.\.?\//, `${name} imports ${from}`);
      const file = path.join(KIT, path.dirname(name), from);
      assert.ok(file.startsWith(KIT + path.sep) && fs.existsSync(`${file}.ts`), `${name} imports ${from}`);
    }
    // The host logs in, decides which pages there are, and owns what is global.
    assert.doesNotMatch(source, /wx\.(login|getExtConfig|getAccountInfo)|\bgetApp\b|\bglobalThis\b|\bgetCurrentPages\b/, name);
    assert.doesNotMatch(source, /['"`]\/?pages\//, `${name} names a page`);
  }
  for (const name of files(KIT, '.json')) {
    const { usingComponents = {} } = json(KIT, name) as { usingComponents?: Record<string, string> };
    for (const used of Object.values(usingComponents)) {
      const file = path.join(KIT, path.dirname(name), used);
      assert.ok(!used.startsWith('/') && file.startsWith(KIT + path.sep) && fs.existsSync(`${file}.json`), `${name} uses ${used}`);
    }
  }
  for (const name of files(KIT, '.wxss', '.wxml')) {
    const source = read(KIT, name);
    const named = source.matchAll(/(?:@import\s*|src=|url\(\s*)"([^"]+)"/g);
    for (const [, what = ''] of named) {
      if (/^(data:|\{\{)/.test(what)) continue;
      assert.ok(!what.startsWith('/') && fs.existsSync(path.join(KIT, path.dirname(name), what)), `${name} names ${what}`);
    }
  }
});

test("the example's project, pages and components exist, and none has an absolute path to the kit", () => {
  const project = json(host, 'project.config.json') as {
    appid: string;
    compileType: string;
    miniprogramRoot: string;
    setting: { useCompilerPlugins: string[] };
    packOptions: { ignore: { value: string; type: string }[] };
  };
  assert.equal(project.compileType, 'miniprogram');
  assert.deepEqual(project.setting.useCompilerPlugins, ['typescript']);
  assert.ok(project.appid);
  for (const { value } of project.packOptions.ignore) assert.ok(fs.existsSync(path.join(root, value)), value);
  const app = json(root, 'app.json') as {
    pages: string[];
    subpackages: Subpackage[];
    preloadRule: Record<string, { packages: string[] }>;
    sitemapLocation: string;
    themeLocation: string;
    style: string;
  };
  // Before v2 the buttons of the base library look otherwise.
  assert.equal(app.style, 'v2');
  for (const named of [app.sitemapLocation, app.themeLocation]) json(root, named);
  const pages = pagesOf(app);
  for (const page of pages) {
    for (const suffix of ['ts', 'json', 'wxml', 'wxss']) assert.ok(fs.existsSync(path.join(root, `${page}.${suffix}`)), page);
  }
  const names = (app.subpackages as { name?: string }[]).map(({ name }) => name);
  for (const [page, { packages }] of Object.entries(app.preloadRule)) {
    assert.ok(app.pages.includes(page) && packages.every((each) => names.includes(each)), page);
  }
  for (const name of files(root, '.json')) {
    const { usingComponents = {} } = json(root, name) as { usingComponents?: Record<string, string> };
    for (const used of Object.values(usingComponents)) {
      assert.ok(fs.existsSync(path.join(root, `${resolve(name, used)}.json`)), `${name} uses ${used}`);
    }
  }
  for (const name of files(root, '.json', '.ts', '.wxml', '.wxss')) {
    assert.doesNotMatch(read(root, name), /["'(]\/(chat\/)?imkit/, `${name} has an absolute path to the kit`);
  }
  const urls = files(root, '.ts').flatMap((name) => [...read(root, name).matchAll(/'\/((?:pages|chat)\/[\w/]+)|`\/((?:pages|chat)\/[\w/]+)/g)]);
  for (const [, quoted, template] of urls) assert.ok(pages.includes(quoted ?? template ?? ''), quoted ?? template);
});

test("WeChat's compilers accept the example", () => {
  for (const [suffix, output] of [
    ['.wxml', official.wxmlToJs(root)],
    ['.wxss', official.wxssToJs(root)],
  ] as const) {
    for (const name of files(root, suffix)) assert.ok(output.includes(name), `${name} is compiled`);
  }
});

test('the example never logs in to the chat by itself, and its back end has fifty lines at most', () => {
  for (const name of files(path.join(EXAMPLE, 'miniprogram'), '.ts')) {
    if (!name.startsWith('chat/imkit')) assert.doesNotMatch(code(read(EXAMPLE, 'miniprogram', name)), /wx\.login|loginWechat|loginDemo/, name);
  }
  assert.ok(read(EXAMPLE, 'backend.mjs').trim().split('\n').length <= 50);
});
