// The bundle with its short names does all that the source does: the same tests, run against it.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';

import { bundle } from '../../core/bundle';
import * as source from '../../miniprogram/imkit/core/index';
import { run, type Create } from './sim/run';

const folder = await mkdtemp(join(tmpdir(), 'im-bundle-'));
after(() => rm(folder, { recursive: true, force: true }));
const file = join(folder, 'im.mjs');
await writeFile(file, await bundle());
const bundled = (await import(pathToFileURL(file).href)) as typeof source;

test('it exports what the source exports', () => {
  assert.deepEqual(Object.keys(bundled).sort(), Object.keys(source).sort());
});

for (const name of ['client', 'connection', 'storage', 'random', 'service']) {
  test(`${name}.test.ts passes`, async () => {
    const args = ['--import', 'tsx', '--test', '--test-reporter', 'tap', join(import.meta.dirname, `${name}.test.ts`)];
    // Otherwise the inner runner reports to this one.
    const env = { ...process.env, IM_CORE: file, NODE_TEST_CONTEXT: undefined };
    const tests = spawn(process.execPath, args, { env });
    let said = '';
    for (const stream of [tests.stdout, tests.stderr]) stream.on('data', (text: Buffer) => (said += text.toString()));
    const [code] = (await once(tests, 'close')) as [number];
    assert.equal(code, 0, said);
    assert.match(said, /# pass [1-9]/);
  });
}

test('what one of the two has written down, the other reads', async () => {
  for (let seed = 1; seed <= 300; seed += 1) {
    let count = 0;
    // Each start of the app is another version than the last one.
    const create: Create = (options) => ((count += 1) % 2 ? source : bundled).createClient(options);
    await run(create, seed);
  }
});
