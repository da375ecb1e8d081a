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
  const version = (html = '') => /app\.css\?v=([0-9a-f]{16})/.exec(html)?.[1];
  fs.writeFileSync(path.join(root, 'app.wxss'), 'view { top: 2rpx }');
  const changed = await compile(root);
  assert.ok(version(files['index.html']));
  assert.notEqual(version(changed['index.html']), version(files['index.html']));
});
