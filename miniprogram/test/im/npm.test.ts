// The core as an npm package: packed, installed into an empty project, and used from there in each way.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { compileFunction } from 'node:vm';
import { gzipSync } from 'node:zlib';

import { writePackage } from '../../core/package';
import * as source from '../../miniprogram/imkit/core/index';
import { run } from './sim/run';

/** Of each build of the core, and compressed by gzip. */
const MOST_BYTES = 30_000;
const MOST_COMPRESSED = 12_000;

const root = join(import.meta.dirname, '../..');
const project = await mkdtemp(join(tmpdir(), 'im-npm-'));
after(() => rm(project, { recursive: true, force: true }));
const env = { ...process.env, npm_config_cache: join(project, 'cache'), npm_config_update_notifier: 'false', NODE_OPTIONS: '' };

/** Runs a program in the project. It resolves to its exit code and its output. */
const call = (program: string, ...args: string[]) =>
  new Promise<{ code: unknown; said: string }>((resolve) => {
    execFile(program, args, { cwd: project, env }, (error, stdout, stderr) => {
      resolve({ code: error?.code ?? 0, said: stdout + stderr });
    });
  });
const write = (name: string, text: string) => writeFile(join(project, name), text);

await writePackage(join(project, 'built'));
await write('package.json', '{"private":true}');
const packed = await call('npm', 'pack', './built', '--offline', '--silent');
assert.equal(packed.code, 0, packed.said);
const added = await call('npm', 'install', `./${packed.said.trim()}`, '--offline', '--no-audit', '--no-fund');
assert.equal(added.code, 0, added.said);
await rm(join(project, 'built'), { recursive: true });

const installed = join(project, 'node_modules/imserver-client');
const { miniprogram } = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8')) as { miniprogram: string };
const forWechat = join(miniprogram, 'index.js');

test('each build is small', async (t) => {
  for (const name of ['dist/index.mjs', 'dist/index.cjs', forWechat]) {
    const code = await readFile(join(installed, name));
    const compressed = gzipSync(code).length;
    t.diagnostic(`${name}: ${code.length} bytes minified, ${compressed} compressed`);
    assert.ok(code.length < MOST_BYTES, `${name}: ${code.length} bytes`);
    assert.ok(compressed < MOST_COMPRESSED, `${name}: ${compressed} bytes compressed`);
  }
});

/** A phone without a network, whose user writes. */
const USE = `
  const unused = () => { throw new Error('not now'); };
  const storage = { get: () => undefined, set() {}, remove() {} };
  const clock = { now: Date.now, after: (ms, then) => { const timer = setTimeout(then, ms); return () => clearTimeout(timer); } };
  const platform = { connect: unused, request: unused, upload: unused, storage, clock, random: () => 0.5 };
  const session = { token: 'token', user: { id: 1, name: 'Zhang San', avatarUrl: null } };
  const client = createClient({ server: 'https://im.example', platform, session, login: unused });
  const peer = toKey('2');
  client.open(peer);
  client.subscribe(() => {
    console.log(client.connection.phase, ...client.chats(peer).items.map(({ content, status }) => content + ' ' + status));
    process.exit();
  });
  client.send(peer, 'hello');`;

for (const [name, line] of [
  ['use.mjs', "import { createClient, toKey } from 'imserver-client';"],
  ['use.cjs', "const { createClient, toKey } = require('imserver-client');"],
] as const) {
  test(`${name} makes a client and reads its state`, async () => {
    await write(name, line + USE);
    assert.deepEqual(await call(process.execPath, name), { code: 0, said: 'idle hello pending\n' });
  });
}

test('the file for WeChat requires nothing, and does all that the source does', async () => {
  const exports = {} as typeof source;
  const refuse = (name: string) => assert.fail(`it requires ${name}`);
  // As DevTools wraps the files of `miniprogram_npm`.
  const wrapped = compileFunction(await readFile(join(installed, forWechat), 'utf8'), ['exports', 'module', 'require']);
  (wrapped as (...given: unknown[]) => void)(exports, { exports }, refuse);
  assert.deepEqual(Object.keys(exports).sort(), Object.keys(source).sort());
  for (let seed = 1; seed <= 20; seed += 1) await run(exports.createClient, seed);
});

test('all types are declared, and refuse a mistake', async () => {
  const index = await readFile(join(root, 'miniprogram/imkit/core/index.ts'), 'utf8');
  const all = index.replace(/'\.\/\w+'/g, "'imserver-client'");
  const user = (mistake: string) => `
    import { ImError, toUserId, type ImClient, type SendResult } from 'imserver-client';
    export const greet = (client: ImClient): SendResult | null => {
      const peer = toUserId('2');
      return peer && client.send(${mistake || 'peer'}, { content: 'hello', mentions: [peer] });
    };
    export const code = (error: unknown): string => (error instanceof ImError ? error.code : 'other');`;
  await Promise.all([write('all.mts', all), write('all.cts', all), write('user.mts', user('')), write('user.cts', user(''))]);
  await write('mistake.mts', user('2'));
  const tsc = [join(root, 'node_modules/typescript/bin/tsc'), '--strict', '--noEmit', '--target', 'es2020', '--lib', 'es2020'];
  const files = ['all.mts', 'all.cts', 'user.mts', 'user.cts', 'mistake.mts'];
  for (const kind of [['--module', 'nodenext'], ['--module', 'preserve', '--moduleResolution', 'bundler']]) {
    const { code, said } = await call(process.execPath, ...tsc, ...kind, ...files);
    assert.notEqual(code, 0);
    const errors = said.split('\n').filter((line) => line.includes('error'));
    assert.equal(errors.length, 1, said);
    assert.match(errors[0]!, /^mistake\.mts\(5,\d+\): error TS2345/);
  }
});
