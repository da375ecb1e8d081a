// The pure parts of the pages: rows, patches, times, drafts, the end of a list.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { batches, bytesOf } from '../../miniprogram/imkit/lists/batches';
import { createDrawing } from '../../miniprogram/imkit/lists/drawing';
import { replace } from '../../miniprogram/imkit/lists/patch';
import { badge } from '../../miniprogram/imkit/lists/rows';
import { insert, removeBefore } from '../../miniprogram/imkit/components/composer/draft';
import { arrived, asked, OPENED, rested, restMs, scrolled, seen } from '../../miniprogram/imkit/components/im-chat/end';
import { en } from '../../miniprogram/imkit/texts/en';
import { longTime, shortTime } from '../../miniprogram/imkit/texts/time';
import { zh } from '../../miniprogram/imkit/texts/zh';

test('a list is drawn by the paths that changed', () => {
  const rows = (...names: string[]) => names.map((name) => ({ key: name, name, tags: [name] }));
  const before = rows('a', 'b', 'c');
  assert.deepEqual(replace('rows', before, rows('a', 'b', 'c')), []);
  assert.deepEqual(replace('rows', before, [...before, ...rows('d')]), [['rows[3]', rows('d')[0]]]);
  const renamed = before.map((row) => (row.key === 'b' ? { ...row, name: 'B' } : row));
  assert.deepEqual(replace('rows', before, renamed), [['rows[1].name', 'B']]);
  assert.deepEqual(replace('rows', before, rows('a', 'c')), [['rows', rows('a', 'c')]]);
});

test('what is drawn is cut into calls of at most 64 KB, and what belongs together is in the last one', () => {
  const row = (at: number) => ({ key: `k${at}`, text: '好'.repeat(2000) });
  const rows = Array.from({ length: 50 }, (_, at) => row(at));
  for (const [before, after] of [[[], rows], [[...rows, ...rows], rows]] as const) {
    const calls = batches(replace('rows', before, after), { isLoaded: true });
    assert.ok(calls.length > 4);
    for (const call of calls) assert.ok(Buffer.byteLength(JSON.stringify(call)) <= 64 * 1024);
    assert.deepEqual(calls.map((call) => 'isLoaded' in call), calls.map((_, at) => at === calls.length - 1));
  }
  for (const value of ['a', 'é', '好', '😀', '\ud83d', [1, { a: '好' }], null]) {
    assert.equal(bytesOf(value), Buffer.byteLength(JSON.stringify(value)), JSON.stringify(value));
  }
});

test('a hidden page draws once, when it is shown', () => {
  let count = 0;
  const { draw, hide, show } = createDrawing(() => (count += 1));
  draw();
  hide();
  draw();
  draw();
  assert.equal(count, 1);
  show();
  show();
  assert.equal(count, 2);
});

test('a number of unread chats ends at 99+', () => {
  assert.deepEqual([0, 1, 99, 100, 4000].map(badge), ['', '1', '99', '99+', '99+']);
});

test('the more recent a time, the shorter', () => {
  const now = new Date(2026, 10, 20, 9, 5).getTime();
  const time = (...parts: [number, number, number, number, number]) => new Date(...parts).getTime();
  const cases = [
    [time(2026, 10, 20, 0, 1), '00:01', '00:01', '00:01'],
    [time(2026, 10, 19, 23, 59), '昨天', '昨天 23:59', 'Yesterday'],
    [time(2026, 10, 14, 12, 0), '星期六', '星期六 12:00', 'Saturday'],
    [time(2026, 10, 13, 12, 0), '11月13日', '11月13日 12:00', 'Nov 13'],
    [time(2025, 11, 31, 12, 0), '2025年12月31日', '2025年12月31日 12:00', 'Dec 31, 2025'],
  ] as const;
  for (const [at, short, long, english] of cases) {
    assert.equal(shortTime(at, now, zh), short);
    assert.equal(longTime(at, now, zh), long);
    assert.equal(shortTime(at, now, en), english);
  }
});

test('both languages say the same things', () => {
  const keys = (value: object): string[] =>
    Object.entries(value).flatMap(([key, each]) =>
      typeof each === 'object' && each !== null ? keys(each as object).map((inner) => `${key}.${inner}`) : [key],
    );
  assert.deepEqual(keys(en), keys(zh));
});

test('emoji are inserted at the cursor, and removed whole', () => {
  assert.deepEqual(insert('好的', 1, '😂'), { text: '好😂的', cursor: 3 });
  assert.deepEqual(insert('好', null, '😂'), { text: '好😂', cursor: 3 });
  assert.deepEqual(insert('', 9, 'a'), { text: 'a', cursor: 1 });
  assert.deepEqual(removeBefore('好😂的', 3), { text: '好的', cursor: 1 });
  assert.deepEqual(removeBefore('好', 0), { text: '好', cursor: 0 });
  assert.deepEqual(removeBefore('', null), { text: '', cursor: 0 });
});

test('a list follows its end until the user scrolls up, and then counts new chats', () => {
  const moved = scrolled(OPENED, 1_000);
  // New chats push the end off the screen while the page scrolls to it.
  const pushed = seen(arrived(moved, 2), false);
  assert.equal(restMs(pushed, 1_100), 300);
  assert.deepEqual([pushed.isFollowing, pushed.unseen], [true, 0]);
  assert.equal(rested(seen(pushed, true)).isFollowing, true);
  const left = rested(pushed);
  assert.equal(left.isFollowing, false);
  assert.equal(arrived(arrived(left, 2), 1).unseen, 3);
  for (const back of [seen(arrived(left, 2), true), asked(arrived(left, 2))]) {
    assert.deepEqual([back.isFollowing, back.unseen], [true, 0]);
  }
  assert.equal(restMs(left, 9_000), 0);
});
