// What WeChat requires of the package: its compilers accept it, and it is small enough.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { resolve } from '../../web/compile/project';

const root = fileURLToPath(new URL('../../miniprogram', import.meta.url));

/** WeChat's own compilers, wcc and wcsc. They throw or print errors. */
const official = createRequire(import.meta.url)('miniprogram-compiler') as {
  wxmlToJs: (root: string) => string;
  wxssToJs: (root: string) => string;
};

function files(folder: string): string[] {
  return fs.readdirSync(folder, { recursive: true, encoding: 'utf8' });
}

test("WeChat's compiler accepts every WXML", () => {
  const code = official.wxmlToJs(root);
  const templates = files(root).filter((name) => name.endsWith('.wxml'));
  assert.ok(templates.length > 8);
  for (const name of templates) assert.ok(code.includes(name), `${name} is compiled`);
});

test("WeChat's compiler accepts every WXSS", () => {
  const code = official.wxssToJs(root);
  const sheets = files(root).filter((name) => name.endsWith('.wxss'));
  assert.ok(sheets.length > 8);
  for (const name of sheets) assert.ok(code.includes(name), `${name} is compiled`);
});

test('the package is smaller than 2 MB, the limit of an upload', () => {
  const sizes = files(root).map((name) => fs.statSync(path.join(root, name)).size);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  assert.ok(total < 2 * 1024 * 1024, `${total} bytes`);
});

test('every named page, component and icon exists', () => {
  const app = JSON.parse(fs.readFileSync(path.join(root, 'app.json'), 'utf8')) as {
    pages: string[];
    tabBar: { list: { iconPath: string; selectedIconPath: string }[] };
  };
  const icons = app.tabBar.list.flatMap(({ iconPath, selectedIconPath }) => [iconPath, selectedIconPath]);
  const parts = app.pages.flatMap((page) => ['ts', 'json', 'wxml'].map((suffix) => `${page}.${suffix}`));
  for (const name of [...icons, ...parts]) assert.ok(fs.existsSync(path.join(root, name)), name);
  for (const name of files(root).filter((each) => each.endsWith('.json'))) {
    const { usingComponents = {} } = JSON.parse(fs.readFileSync(path.join(root, name), 'utf8')) as {
      usingComponents?: Record<string, string>;
    };
    for (const used of Object.values(usingComponents)) {
      assert.ok(fs.existsSync(path.join(root, `${resolve(name, used)}.json`)), `${name} uses ${used}`);
    }
  }
});

test('every colour of the configuration exists for light and for dark mode', () => {
  const read = (name: string) => fs.readFileSync(path.join(root, name), 'utf8');
  const named = Array.from(read('app.json').matchAll(/"@(\w+)"/g), ([, name = '']) => name);
  const theme = JSON.parse(read('theme.json')) as Record<'light' | 'dark', Record<string, string>>;
  for (const name of named) assert.ok(theme.light[name] && theme.dark[name], name);
});
