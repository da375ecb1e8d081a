// Plants mistakes into the client: the random runs find each of them.

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';

import { build } from 'esbuild';

import type { createClient } from '../../miniprogram/im/index';
import { run } from './sim/run';

interface Mistake {
  readonly what: string;
  readonly file: string;
  readonly right: string;
  readonly wrong: string;
}

const MISTAKES: readonly Mistake[] = [
  {
    what: 'the outbox is kept in memory only',
    file: 'outbox.ts',
    right: "if (!save(next)) return 'storage_full';",
    wrong: '',
  },
  {
    what: 'a repeated send has another key',
    file: 'outlet.ts',
    right: 'clientMsgId: id,',
    wrong: 'clientMsgId: `${id}-${clock.now()}`,',
  },
  {
    what: 'a gap in the numbers is ignored',
    file: 'timeline.ts',
    right: 'if (seq > cursor.seq + 1 || end === Infinity) {',
    wrong: 'if (false) {',
  },
  {
    what: 'an answer replaces what is shown',
    file: 'chatlog.ts',
    right: 'loaded = true;\n      merge(entries);',
    wrong: 'loaded = true;\n      chats = entries;',
  },
  {
    what: 'old chats stay before a gap',
    file: 'chatlog.ts',
    right: 'if (hasMore && doubt && doubt.from < first) {',
    wrong: 'if (doubt && doubt.from < 0) {',
  },
  {
    what: 'stored chats are taken for complete',
    file: 'model.ts',
    right: 'state.complete && saved?.seq === state.cursor?.seq',
    wrong: 'true',
  },
  {
    what: 'a log with a gap is stored',
    file: 'chatlog.ts',
    right: 'if (!unsaved || doubt) return null;',
    wrong: 'if (!unsaved) return null;',
  },
  {
    what: 'a refusal for now is one for good',
    file: 'outbox.ts',
    right: 'if (forGood && entry)',
    wrong: 'if (entry)',
  },
  {
    what: 'a lost read mark is not repeated',
    file: 'loading.ts',
    right: 'if (known && known > readUpTo)',
    wrong: 'if (false)',
  },
  {
    what: 'a socket that does not answer is kept',
    file: 'link.ts',
    right: 'if (heard === before) reconnect();',
    wrong: '',
  },
  {
    what: 'a failed connect does not check the session',
    file: 'link.ts',
    right: 'owner.probe();',
    wrong: '',
  },
  {
    what: 'an answered send stays in the outbox',
    file: 'model.ts',
    right: 'outbox.settle(clientMsgId, keyOfChat(chat, me), content)',
    wrong: 'false',
  },
  {
    what: 'the number of an unknown event is not taken',
    file: 'sync.ts',
    right: "if (timeline.step(seq)) add(event === 'chat' ? chat : null);",
    wrong: "if (event === 'chat' && timeline.step(seq)) add(chat);",
  },
  {
    what: 'who was a stranger stays unwatched after the first chat',
    file: 'outlet.ts',
    right: 'if (spoke.size < spoke.add(`${userId}-${targetUserId}`).size) watchAgain();',
    wrong: '',
  },
  {
    what: 'calls are not counted',
    file: 'pace.ts',
    right: 'times.push(now);',
    wrong: '',
  },
];

/** Each mistake must be found within this many runs. */
const RUNS = 1500;

const folder = await mkdtemp(join(tmpdir(), 'im-planted-'));
after(() => rm(folder, { recursive: true, force: true }));

/** The client with this mistake in it. */
async function plant({ file, right, wrong }: Mistake, name: string): Promise<typeof createClient> {
  const outfile = join(folder, `${name}.mjs`);
  let planted = 0;
  await build({
    entryPoints: [join(import.meta.dirname, '../../miniprogram/im/index.ts')],
    bundle: true,
    format: 'esm',
    target: 'es2020',
    outfile,
    plugins: [
      {
        name: 'plant',
        setup(bundler) {
          bundler.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
            const source = await readFile(path, 'utf8');
            if (basename(path) !== file) return { contents: source, loader: 'ts' };
            planted = source.split(right).length - 1;
            return { contents: source.replace(right, () => wrong), loader: 'ts' };
          });
        },
      },
    ],
  });
  assert.equal(planted, 1, 'the source has the place once');
  const module = (await import(pathToFileURL(outfile).href)) as { createClient: typeof createClient };
  return module.createClient;
}

for (const [number, mistake] of MISTAKES.entries()) {
  test(`found: ${mistake.what}`, async (t) => {
    const create = await plant(mistake, String(number));
    for (let seed = 1; seed <= RUNS; seed += 1) {
      try {
        await run(create, seed);
      } catch (error) {
        t.diagnostic(String(error).split('\n')[0]!);
        return;
      }
    }
    assert.fail(`not found in ${RUNS} runs`);
  });
}
