// What bubbles show of pictures, voices, files and cards.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { ChatItem } from '../../miniprogram/imkit/core/index';
import { show } from '../../miniprogram/imkit/current';
import { bytes, fit, mediaRow, nextVoice } from '../../miniprogram/imkit/lists/media';
import { factsOf, folderName, madeAt } from '../../miniprogram/imkit/media/facts';

function item(part: Partial<ChatItem>): ChatItem {
  const none = { id: null, mine: false, body: null, file: null, recalled: false, progress: null, content: '' };
  return { ...none, key: 'k', kind: 'text', ...part } as ChatItem;
}

test('a picture has its proportions, before it is sent and after', () => {
  assert.deepEqual(fit(3000, 1500), { width: 320, height: 160 });
  assert.deepEqual(fit(100, 9000), { width: 88, height: 320 });
  const file = `wxfile://usr/${folderName([3000, 1500])}/picture.jpg`;
  const before = mediaRow(item({ kind: 'image', file, progress: 0.456 }));
  assert.deepEqual([before?.src, before?.width, before?.height, before?.percent], [file, 320, 160, 45]);
  const body = { url: 'https://chat.test/full', thumbUrl: 'https://chat.test/small', width: 1500, height: 3000 };
  const after = mediaRow(item({ kind: 'image', body }));
  assert.deepEqual([after?.src, after?.width, after?.height, after?.percent], [body.thumbUrl, 160, 320, -1]);
});

test('what a service says to be on its own machine is where the service is for the phone', () => {
  const seen = (url: string) => mediaRow(item({ kind: 'image', body: { url } }))?.src;
  const [path, service] = ['/v1/media/0a/thumb?e=1', 'http://192.168.1.5:8080'];
  assert.equal(seen(`http://127.0.0.1:8080${path}`), `http://127.0.0.1:8080${path}`, 'nobody said where it is');
  show(null, service);
  for (const base of ['', 'http://127.0.0.1:8080', 'http://localhost', 'http://[::1]:8080']) {
    assert.equal(seen(base + path), service + path, base);
  }
  for (const other of [`https://cdn.test${path}`, `http://127.0.0.1.test${path}`, 'http://127.0.0.1:8080/a.png']) {
    assert.equal(seen(other), other);
  }
  show(null);
});

test('the path of a file says when it was kept, and what it is', () => {
  const now = Date.now();
  const name = folderName([59_500.4, 0]);
  assert.deepEqual(factsOf(`wxfile://usr/${name}/voice.mp3`), [59_500, 0]);
  assert.ok(Math.abs((madeAt(name) ?? 0) - now) < 60_000);
  assert.equal(madeAt('miniprogramLog'), null);
});

test('voices, files and cards have their words, and other kinds none', () => {
  assert.equal(mediaRow(item({ kind: 'voice', body: { durationMs: 400 } }))?.title, '1″');
  const long = mediaRow(item({ kind: 'voice', body: { durationMs: 60_000 } }));
  assert.deepEqual([long?.title, long?.width], ['60″', 420]);
  const file = mediaRow(item({ kind: 'file', body: { name: 'a.pdf', size: 1_500_000 } }));
  assert.deepEqual([file?.title, file?.detail], ['a.pdf', '1.4 MB']);
  assert.equal(bytes(1025), '2 KB');
  assert.equal(mediaRow(item({ kind: 'card', body: { title: '订单' } }))?.title, '订单');
  assert.equal(mediaRow(item({ kind: 'poll', body: { title: '？' } })), null);
  assert.equal(mediaRow(item({ kind: 'image', body: { url: 'u' }, recalled: true })), null);
});

test('the next voice that was not heard plays on', () => {
  const voice = (id: number, part: Partial<ChatItem> = {}) =>
    item({ kind: 'voice', key: `c${id}`, id: id as NonNullable<ChatItem['id']>, ...part });
  const items = [voice(1), item({}), voice(2, { mine: true }), voice(3), voice(4)];
  const after = (key: string, heard: number[]) => nextVoice(items, key, (id) => heard.includes(Number(id)))?.key;
  assert.equal(after('c1', [1]), 'c3');
  assert.equal(after('c1', [1, 3]), undefined, 'one that was heard ends it');
  assert.equal(after('c4', []), undefined);
  assert.equal(after('gone', []), undefined);
});
