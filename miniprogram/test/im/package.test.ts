// The core as a folder to copy: its imports, and the example of its README.

import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';

import * as im from '../../miniprogram/imkit/core/index';
import { nodePlatform } from './node';
import { eventually, Service } from './service';

const folder = join(import.meta.dirname, '../../miniprogram/imkit/core');

test('it imports only itself, and knows no platform', async () => {
  for (const file of await readdir(folder)) {
    if (!file.endsWith('.ts')) continue;
    const source = await readFile(join(folder, file), 'utf8');
    for (const [, from] of source.matchAll(/from '([^']+)'/g)) assert.match(from!, /^\.\/\w+$/, file);
    // Time and chance are passed in.
    assert.doesNotMatch(source, /\b(wx\.\w+\(|Date\.now\(|Math\.random\(|setTimeout\(|fetch\()/, file);
  }
});

test('the example of the README works', { timeout: 600_000 }, async (t) => {
  const readme = await readFile(join(folder, 'README.md'), 'utf8');
  const example = /```ts\n([\s\S]*?)```/.exec(readme)![1]!;
  assert.ok(example.trim().split('\n').length <= 10, 'ten lines');
  const service = await Service.start();
  const temporary = await mkdtemp(join(tmpdir(), 'im-readme-'));
  t.after(async () => {
    await service.remove();
    await rm(temporary, { recursive: true, force: true });
  });
  const file = join(temporary, 'example.mjs');
  await writeFile(
    file,
    `export default async ({ createClient, loginDemo }, platform, server, peerId, show) => {\n${example}\nreturn client;\n};\n`,
  );
  const { default: run } = (await import(pathToFileURL(file).href)) as {
    default: (core: typeof im, platform: im.Platform, server: string, peerId: im.UserId, show: (what: unknown) => void) => Promise<im.ImClient>;
  };
  const { user } = await im.loginDemo(nodePlatform(), service.url, '李四');
  const shown: unknown[] = [];
  const client = await run(im, nodePlatform(), service.url, user.id, (what) => shown.push(what));
  t.after(() => {
    client.stop();
  });
  await eventually('it has shown that the chat is sent', () => {
    const last = shown.filter((what) => Array.isArray(what)).pop() as im.ChatItem[] | undefined;
    return shown.includes('online') && last?.length === 1 && last[0]!.content === '你好' && last[0]!.status === 'sent';
  });
});
