// The compiler's output for WXML, WXSS and the configuration.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';

import { compile } from '../../web/compile/compile';
import { open, rootOf } from '../../web/compile/project';
import { compileStyles } from '../../web/compile/styles';
import { compileTemplates } from '../../web/compile/templates';

/** A mini program of these files, besides one page with nothing in it. */
function project(files: Record<string, string>): string {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), 'mini-'));
  const all = {
    'app.json': '{"pages":["pages/a/a"]}',
    'app.ts': 'App({})',
    'pages/a/a.wxml': '',
    'pages/a/a.ts': 'Page({})',
    ...files,
  };
  for (const [name, text] of Object.entries(all)) {
    fs.mkdirSync(path.join(root, path.dirname(name)), { recursive: true });
    fs.writeFileSync(path.join(root, name), text);
  }
  return root;
}

const css = (files: Record<string, string>) => compileStyles(open(project(files)));

test('a component comes after the ones that it uses', () => {
  const root = project({
    'pages/a/a.json': '{"usingComponents":{"one":"/c/one"}}',
    'c/one.json': '{"component":true,"usingComponents":{"two":"two"}}',
    'c/two.json': '{"component":true}',
  });
  const { parts } = open(root);
  assert.deepEqual([...parts.keys()], ['c/two', 'c/one', 'pages/a/a']);
  assert.deepEqual(parts.get('c/one')?.usingComponents, { two: '/c/two' });
});

test('rpx becomes a part of the width, and tags get a prefix', () => {
  const { css: sheet } = css({ 'app.wxss': 'page, view.x > text { margin: -1.5rpx 0 2px; }' });
  assert.match(sheet, /wx-page, wx-view\.x > wx-text/);
  assert.match(sheet, /margin: calc\(-1\.5 \* var\(--rpx\)\) 0 2px/);
});

test("a page's rules, imported ones too, apply only within it", () => {
  const { css: sheet } = css({
    'pages/a/a.wxss': '@import "../../b.wxss"; .x, page .y { top: 0 }',
    'b.wxss': '.z { top: 0 } @keyframes k { from { top: 0 } }',
  });
  const within = ':where(wx-page[is="pages/a/a"])';
  assert.ok(sheet.includes(`${within} .x,`), sheet);
  assert.ok(sheet.includes(`wx-page${within} .y`), sheet);
  assert.ok(sheet.includes(`${within} .z`), sheet);
  assert.match(sheet, /from \{/);
});

test("a component's classes are its own", () => {
  const { css: sheet, scopes } = css({
    'pages/a/a.json': '{"usingComponents":{"one":"/c/one"}}',
    'c/one.json': '{"component":true}',
    'c/one.wxml': '',
    'c/one.wxss': ':host { top: 0 } .x { top: 0 }',
  });
  const scope = scopes['c/one'] ?? '';
  assert.ok(sheet.includes(`[wx-host=${scope}]`), sheet);
  assert.ok(sheet.includes(`.${scope}--x`), sheet);
});

test('an error in a template is reported with its place', () => {
  const root = project({ 'pages/a/a.wxml': '<view>\n  <text></view>' });
  assert.throws(() => compileTemplates(open(root)), /pages\/a\/a\.wxml:\d+:\d+ /);
});

test('a built-in component that the runner does not have is refused', () => {
  const root = project({ 'pages/a/a.wxml': '<view>\n<swiper /></view>' });
  assert.throws(() => compileTemplates(open(root)), /pages\/a\/a\.wxml: .*swiper/);
});

test('the output is the same each time, and pages refer to it by its hash', async () => {
  const root = project({ 'app.wxss': 'view { top: 1rpx }' });
  const files = await compile(root);
  assert.deepEqual(await compile(root), files);
  const version = (html: string | Buffer = '') => /app\.css\?v=([0-9a-f]{16})/.exec(String(html))?.[1];
  fs.writeFileSync(path.join(root, 'app.wxss'), 'view { top: 2rpx }');
  const changed = await compile(root);
  assert.ok(version(files['index.html']));
  assert.notEqual(version(changed['index.html']), version(files['index.html']));
});

test('a folder with a project file is compiled from where that says', () => {
  const folder = project({ 'project.config.json': '{"miniprogramRoot":"mini/"}', 'mini/app.json': '{"pages":[]}' });
  assert.equal(rootOf(folder), path.join(folder, 'mini/'));
  assert.equal(rootOf(path.join(folder, 'mini')), path.join(folder, 'mini'));
});

/** A mini program with the subpackages `one` and `two`, of a page each. */
const packaged = (files: Record<string, string>) =>
  project({
    'app.json': '{"pages":["pages/a/a"],"subpackages":[{"root":"one","pages":["b/b"]},{"root":"two/","pages":["b/b"]}]}',
    ...Object.fromEntries(['one', 'two'].flatMap((root) => [[`${root}/b/b.wxml`, ''], [`${root}/b/b.ts`, 'Page({})']])),
    'shared.ts': 'export const shared = "everybody\'s";',
    'one/own.ts': 'export const own = "of the first";',
    'one/own.wxss': '.x { top: 0 }',
    'one/own.wxml': '<template name="own"></template>',
    'one/own.wxs': '',
    'one/c.json': '{"component":true}',
    'one/c.wxml': '',
    'one/c.ts': 'Component({})',
    ...files,
  });

test('pages of subpackages are pages, and see their own package and the main one', async () => {
  const root = packaged({
    'one/b/b.ts': 'import { shared } from "../../shared"; import { own } from "../own"; Page({ data: { shared, own } })',
    'one/b/b.wxss': '@import "../own.wxss";',
    'one/b/b.json': '{"usingComponents":{"c":"../c"}}',
    'one/b/b.wxml': '<import src="../own.wxml" /><c />',
  });
  assert.deepEqual(open(root).pages, ['pages/a/a', 'one/b/b', 'two/b/b']);
  const { 'app.js': script = '' } = await compile(root);
  assert.ok(script.includes("everybody's") && script.includes('of the first'));
  assert.ok(script.includes('"one/b/b"'));
});

for (const [what, files] of Object.entries({
  'a script': { 'pages/a/a.ts': 'import { own } from "../../one/own"; Page({ own })' },
  'a script, through another one,': { 'shared.ts': 'export { own } from "./one/own"', 'app.ts': 'import { own } from "./shared"; App({ own })' },
  'a style sheet': { 'app.wxss': '@import "one/own.wxss";' },
  'a template': { 'pages/a/a.wxml': '<import src="/one/own.wxml" />' },
  'a wxs script': { 'pages/a/a.wxml': '<wxs module="own" src="../../one/own.wxs" />' },
  'a component': { 'pages/a/a.json': '{"usingComponents":{"c":"/one/c"}}' },
})) {
  test(`${what} of a subpackage is refused in the main package, and in another subpackage`, async () => {
    const used = /uses one\/(own|c)\b.*, which is in the subpackage one/;
    await assert.rejects(compile(packaged(files)), used);
    const moved = Object.entries(files).map(([name, text]): [string, string] => {
      const isShared = name === 'shared.ts' || name === 'app.ts';
      return isShared ? [name, text] : [name.replace('pages/a/a', 'two/b/b').replace(/^app\.wxss$/, 'two/b/b.wxss'), text.replace('"one/', '"../../one/')];
    });
    await assert.rejects(compile(packaged(Object.fromEntries(moved))), used);
  });
}

test('what WeChat refuses of the configuration is refused', () => {
  const subpackages = (json: object) => () => open(packaged({ 'app.json': JSON.stringify({ pages: ['pages/a/a'], ...json }) }));
  const one = { root: 'one', pages: ['b/b'] };
  assert.equal(subpackages({ subPackages: [one] })().pages.length, 2);
  assert.throws(subpackages({ subpackages: [{ root: 'one', pages: ['c/c'] }] }), /the page one\/c\/c is missing/);
  assert.throws(subpackages({ pages: ['pages/a/a', 'pages/b/b'] }), /the page pages\/b\/b is missing/);
  assert.throws(subpackages({ subpackages: [one, { root: 'one/b', pages: ['b'] }] }), /one\/b is within the subpackage one/);
  assert.throws(subpackages({ pages: ['one/b/b'], subpackages: [{ ...one, pages: [] }] }), /page one\/b\/b of the main package/);
  assert.throws(subpackages({ subpackages: [one], tabBar: { list: [{ pagePath: 'one/b/b' }] } }), /tab bar/);
  assert.throws(subpackages({ subpackages: [{ ...one, independent: true }] }), /no independent subpackages/);
  const missing = project({ 'pages/a/a.json': '{"usingComponents":{"c":"/imkit/c"}}' });
  assert.throws(() => open(missing), /pages\/a\/a\.json: <c> is imkit\/c, which does not exist/);
  assert.throws(() => open(path.join(missing, 'pages')), /has no app\.json/);
});

test('what the first screen does not need is in packages, and nothing is lost', async () => {
  const root = project({
    'app.json': '{"pages":["pages/a/a","pages/b/b","pages/c/c"]}',
    'pages/a/a.json': '{"usingComponents":{"one":"/c/one"},"componentPlaceholder":{"one":"view"}}',
    'pages/a/a.wxml': '<one />',
    'c/one.json': '{"component":true}',
    'c/one.wxml': '<image />',
    'c/one.ts': `import { shared } from '../shared'; Component({ one: shared })`,
    'pages/b/b.wxml': '',
    'pages/b/b.wxss': '.of-b { top: 0 }',
    'pages/b/b.ts': `import { shared } from '../../shared'; Page({ b: shared })`,
    'pages/c/c.wxml': '',
    'pages/c/c.ts': `Page({ c: 'only in c' })`,
    'shared.ts': `export const shared = 'of one and b';`,
  });
  const division = { first: ['pages/a/a'], later: { list: ['c/one'], second: ['pages/b/b'] } };
  const files = await compile(root, division);
  const has = (name: string, text: string) => String(files[name]).includes(text);
  assert.deepEqual(['list.js', 'second.js', 'rest.js'].map((name) => name in files), [true, true, true]);
  assert.ok(has('list.js', 'of one and b') && has('second.js', 'of one and b') && !has('app.js', 'of one and b'));
  assert.ok(has('rest.js', 'only in c') && !has('app.js', 'only in c'));
  assert.ok(has('second.css', '.of-b') && !has('app.css', '.of-b'));
  assert.match(String(files['boot.js']), /"c\/one":"list","pages\/b\/b":"second","pages\/c\/c":"rest"/);
  const whole = await compile(root);
  assert.ok(['of one and b', 'only in c'].every((text) => String(whole['app.js']).includes(text)));
  await assert.rejects(compile(root, { first: ['pages/x/x'] }), /no page or component pages\/x\/x/);
});
