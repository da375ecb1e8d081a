// The compiler's output for WXML, WXSS and the configuration.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';

import { compile } from '../../web/compile/compile';
import { open } from '../../web/compile/project';
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
