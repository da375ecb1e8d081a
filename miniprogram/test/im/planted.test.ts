// Plants mistakes into the client: the random runs find each of them.

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';

import { build } from 'esbuild';

import type { createClient } from '../../miniprogram/imkit/core/index';
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
    right: 'clientMsgId: next.id,',
    wrong: 'clientMsgId: `${next.id}-${clock.now()}`,',
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
    right: '        if (!oldest() || first <= oldest()) more = hasMore;\n      }\n      merge(entries);',
    wrong: '        more = hasMore;\n      }\n      put(entries);',
  },
  {
    what: 'a page ahead of the timeline makes a gap',
    file: 'chatlog.ts',
    right: 'if (hasMore && oldest() && first > newest()) return;',
    wrong: '',
  },
  {
    what: 'a repair that is not all is taken for all',
    file: 'chatlog.ts',
    right: '      if (hasMore) {\n        chats = [];',
    wrong: '      if (false) {\n        chats = [];',
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
    right: 'if (!unsaved || stale) return null;',
    wrong: 'if (!unsaved) return null;',
  },
  {
    what: 'a refusal for now is one for good',
    file: 'sync.ts',
    right: '!waits && { failure: code',
    wrong: '{ failure: code',
  },
  {
    what: 'a lost read mark is not repeated',
    file: 'loading.ts',
    right: 'if (known && known.readUpTo > readUpTo &&',
    wrong: 'if (false &&',
  },
  {
    what: 'a read mark that comes late takes the mark of the unread back',
    file: 'client.ts',
    right: 'if (settings.markedUnread) await sync.settleRead(key);',
    wrong: '',
  },
  {
    what: 'a read mark under way is not waited for',
    file: 'marks.ts',
    right: 'await busy;',
    wrong: '',
  },
  {
    what: 'a read mark is repeated for a row that is older than it',
    file: 'loading.ts',
    right: ' && known.readUpTo !== marks.sent.get(key)',
    wrong: '',
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
    right: 'outbox.answer(chat.clientMsgId, null);',
    wrong: 'void 0;',
  },
  {
    what: 'the number of an unknown event is not taken',
    file: 'sync.ts',
    right: 'if (!timeline.step(event.seq)) return;',
    wrong: 'if (!kinds[event.event] || !timeline.step(event.seq)) return;',
  },
  {
    what: 'who was a stranger stays unwatched after the first chat',
    file: 'outlet.ts',
    right: 'if (spoke.size < spoke.add(`${userId}-${targetUserId}`).size) watchAgain();',
    wrong: '',
  },
  {
    what: 'a recalled chat is shown by a page that comes later',
    file: 'chatlog.ts',
    right: 'changes.set(id, change);',
    wrong: "if (change.state === 'deleted') changes.set(id, change);\n    chats = chats.map((chat) => (chat.id === id ? { ...chat, ...(change as Partial<Chat>) } : chat));",
  },
  {
    what: 'a quote of a recalled chat keeps its words',
    file: 'chatlog.ts',
    right: "changes.get(replyTo.id)?.state === 'recalled'",
    wrong: 'false',
  },
  {
    what: 'the lower version of a chat wins',
    file: 'chatlog.ts',
    right: 'rank(change) > rank(chat) ?',
    wrong: 'false ?',
  },
  {
    what: 'a deleted chat comes back',
    file: 'chatlog.ts',
    right: "id > cleared && changes.get(id)?.state !== 'deleted'",
    wrong: 'id > cleared',
  },
  {
    what: 'a conversation that was cleared keeps its chats',
    file: 'model.ts',
    right: 'if (log) log.clear(clearedUpTo);',
    wrong: 'if (log) void 0;',
  },
  {
    what: 'what is only stored does not learn of a deletion',
    file: 'model.ts',
    right: 'if (log) log.change(chat);\n        else vault.forgetLog(one);',
    wrong: 'if (log) log.change(chat);',
  },
  {
    what: 'chats stay after a reset',
    file: 'model.ts',
    right: 'for (const key of logs.keys()) forget(key);',
    wrong: '',
  },
  {
    what: 'who comes back into a group sees what was there before',
    file: 'model.ts',
    right: 'if (known?.left && !left) forget(key);',
    wrong: 'if (false) forget(key);',
  },
  {
    what: 'a late answer overwrites settings',
    file: 'conversations.ts',
    right: 'if (row.stamp !== (asked.get(key)?.stamp ?? 0)) return false;',
    wrong: '',
  },
  {
    what: 'a hidden conversation stays in the list',
    file: 'conversations.ts',
    right: '!left && position > hiddenUpTo',
    wrong: '!left',
  },
  {
    what: 'a group that one has left stays in the list',
    file: 'conversations.ts',
    right: '!left && position > hiddenUpTo',
    wrong: 'position > hiddenUpTo',
  },
  {
    what: 'pinned conversations are not first',
    file: 'conversations.ts',
    right: '+b.pinned - +a.pinned || b.position - a.position',
    wrong: 'b.position - a.position',
  },
  {
    what: 'muted conversations count in the total',
    file: 'conversations.ts',
    right: 'row.muted ? sum : sum +',
    wrong: 'sum +',
  },
  {
    what: 'system lines count as unread',
    file: 'conversations.ts',
    right: "kind !== 'system' &&",
    wrong: '',
  },
  {
    what: 'a recall leaves the unread count as it is',
    file: 'sync.ts',
    right: 'if (chat) wantRow(model.change(chat));',
    wrong: 'if (chat) model.change(chat);',
  },
  {
    what: 'reading leaves the mark of the unread',
    file: 'sync.ts',
    right: '(upTo === row.readUpTo && !row.markedUnread)',
    wrong: 'upTo === row.readUpTo',
  },
  {
    what: 'a held chat is sent again and again',
    file: 'sync.ts',
    right: 'answer(clientMsgId, { held: true })',
    wrong: 'answer(clientMsgId)',
  },
  {
    what: 'a held chat is forgotten with a reset',
    file: 'model.ts',
    right: 'outbox.ask();',
    wrong: '',
  },
  {
    what: 'a held chat waits for ever for an event that was missed',
    file: 'outbox.ts',
    right: 'ask: (): void => replace(entries.map((one) => (one.held ? { ...one, held: false } : one))),',
    wrong: 'ask: (): void => undefined,',
  },
  {
    what: 'a held chat that is refused is not shown as failed',
    file: 'sync.ts',
    right: 'answer(clientMsgId, { failure: code, held: false, detail })',
    wrong: 'undefined',
  },
  {
    what: 'chats overtake the upload before them',
    file: 'outbox.ts',
    right: 'return !uploads.has(peerId);',
    wrong: 'return !file || !!body;',
  },
  {
    what: 'an upload that failed is not tried again',
    file: 'uploads.ts',
    right: 'else platform.clock.after(Math.max(wait, backoff.next()), end);',
    wrong: '',
  },
  {
    what: 'a file that is not taken is uploaded for ever',
    file: 'uploads.ts',
    right: 'if (wait > MOST_ASKED_WAIT_MS) end({ failure: code });',
    wrong: 'if (false) end({ failure: code });',
  },
  {
    what: 'a chat to a group goes to a person',
    file: 'keys.ts',
    right: "typeof key === 'number' ? { targetUserId: key } : { conversationId: groupId(key) }",
    wrong: '({ targetUserId: Number(String(key).replace(/g/, \'\')) as UserId })',
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
    entryPoints: [join(import.meta.dirname, '../../miniprogram/imkit/core/index.ts')],
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
