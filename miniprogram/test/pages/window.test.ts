// The window over a long list: which rows are drawn, and by which paths.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { bytesOf } from '../../miniprogram/imkit/lists/batches';
import { hold } from '../../miniprogram/imkit/components/im-chat/hold';
import { createPages, MOST_ROWS } from '../../miniprogram/imkit/lists/pages';

interface Item {
  readonly key: string;
  readonly text: string;
}

const items = (from: number, to: number, text = ''): Item[] =>
  Array.from({ length: to - from + 1 }, (_, at) => ({ key: `c${from + at}`, text }));

/** A list, and what a phone shows of it that applies each path. */
function list() {
  const pages = createPages<Item>((all, at) => ({
    key: all[at]?.key ?? '',
    text: all[at]?.text ?? '',
    before: all[at - 1]?.key ?? '',
  }));
  const data: { pages: Item[][]; order: { id: number; slot: number }[] } = { pages: [], order: [] };
  let paths: string[] = [];
  const set = (path: string, value: unknown) => {
    paths.push(path);
    const names = path.split(/[[\].]+/).filter(Boolean);
    const last = names.pop() ?? '';
    let at = data as unknown as Record<string, unknown>;
    for (const name of names) at = at[name] as Record<string, unknown>;
    at[last] = structuredClone(value);
  };
  const shown = () => data.order.flatMap(({ slot }) => data.pages[slot] ?? []);
  return {
    pages,
    shown,
    draw: () => {
      paths = [];
      const { entries, last } = pages.draw();
      for (const [path, value] of entries) {
        assert.ok(bytesOf(value) < 60_000, path);
        set(path, value);
      }
      for (const [path, value] of Object.entries(last)) set(path, value);
      const { from, to } = pages.window();
      const first = pages.rows(0, from);
      const wanted = pages.items().slice(first, first + pages.rows(from, to));
      assert.deepEqual(shown().map(({ key, text }) => ({ key, text })), wanted);
      assert.equal(pages.rows(0, pages.all().length), pages.items().length);
      return paths;
    },
  };
}

test('a long list is drawn at its end', () => {
  const { pages, draw, shown } = list();
  pages.take(items(1, 1000));
  draw();
  assert.ok(shown().length <= MOST_ROWS);
  assert.equal(shown().at(-1)?.key, 'c1000');
  assert.ok(pages.isAtEnd() && !pages.isAtStart());
});

test('a new row, a changed one, and one that is gone are the paths that they touch', () => {
  const { pages, draw } = list();
  pages.take(items(1, 30));
  draw();
  assert.equal(pages.take(items(1, 31)), false);
  assert.equal(draw().filter((path) => path.startsWith('pages')).length, 1);
  const changed = items(1, 31).map((item, at) => (at === 10 ? { ...item, text: 'x' } : pages.items()[at] ?? item));
  pages.take(changed);
  assert.match(draw().join(), /^pages\[\d\]\[\d+\]\.text$/);
  pages.take(changed.filter(({ key }) => key !== 'c20'));
  assert.match(draw()[0] ?? '', /^pages\[\d\]$/);
});

test('older rows are not drawn before they are asked for', () => {
  const { pages, draw, shown } = list();
  pages.take(items(51, 100));
  draw();
  assert.equal(pages.take(items(1, 100)), true);
  draw();
  assert.equal(shown()[0]?.key, 'c51');
  pages.show(0, pages.all().length);
  draw();
  assert.equal(shown().length, 100);
});

test('what changes at both ends at once leaves the window where it is', () => {
  const { pages, draw, shown } = list();
  pages.take(items(51, 300));
  pages.showRow(100);
  draw();
  const before = shown().map(({ key }) => key);
  assert.equal(pages.take(items(1, 301)), true);
  draw();
  assert.deepEqual(shown().map(({ key }) => key), before);
  // A full list drops its oldest rows for new ones.
  assert.equal(pages.take(items(11, 311)), false);
  draw();
  assert.deepEqual(shown().map(({ key }) => key), before);
});

test('a row far away is drawn with its neighbours, and then the end again', () => {
  const { pages, draw, shown } = list();
  pages.take(items(1, 5000));
  draw();
  pages.showRow(100);
  draw();
  assert.ok(shown().some(({ key }) => key === 'c101'));
  assert.ok(!pages.isAtEnd());
  // What comes at the end is not drawn now.
  pages.take([...pages.items(), ...items(5001, 5100)]);
  assert.ok(draw().every((path) => path === 'above' || path === 'below'));
  pages.showEnd();
  draw();
  assert.equal(shown().at(-1)?.key, 'c5100');
  assert.ok(shown().length <= MOST_ROWS);
});

test('rows of 2,000 characters make small pages', () => {
  const { pages, draw } = list();
  pages.take(items(1, 50, '好'.repeat(2000)));
  draw();
  pages.take([...pages.items(), ...items(51, 52, '好'.repeat(2000))]);
  draw();
  assert.ok(pages.all().every(({ count }) => count <= 8));
});

test('whatever is added, removed and changed, the window is what the list has there', () => {
  let seed = 7;
  const random = (below: number) => (seed = (seed * 48271) % 2147483647) % below;
  const { pages, draw, shown } = list();
  let now = items(1000, 1040);
  let [first, next] = [1000, 1041];
  for (let step = 0; step < 1500; step++) {
    const at = random(now.length + 1);
    switch (random(7)) {
      case 0:
        next += random(30);
        now = [...now, ...items(Number((now.at(-1)?.key ?? `c${next}`).slice(1)) + 1, next)];
        next = Math.max(next, Number((now.at(-1)?.key ?? 'c0').slice(1)) + 1);
        break;
      case 1:
        now = [...items(first - 50, first - 1), ...now];
        first -= 50;
        break;
      case 2:
        now = now.filter((_, index) => index < at || index >= at + random(40));
        break;
      case 3:
        now = now.map((item, index) => (index === at ? { ...item, text: `${step}` } : item));
        break;
      case 4:
        now = [...now.slice(0, at), { key: `x${step}`, text: '' }, ...now.slice(at)];
        break;
      case 5:
        if (now.length > 0) pages.showRow(random(pages.items().length || 1));
        break;
      case 6:
        pages.showEnd();
    }
    pages.take(now);
    draw();
    assert.ok(shown().length <= MOST_ROWS + 50, `${shown().length} rows`);
    if (now.length > 2000) now = now.slice(1500);
  }
});

test('what came above is made up for once: by the platform, or by the list', () => {
  /** The anchor was 100 pixels down at `from`; now so many came above it, and the list is at `to`. */
  const held = (from: number, grown: number, to: number, isAnchored: boolean) => {
    const top = 100 + grown + from - to;
    return hold({ id: 1, side: 'top', at: 100, scrollTop: from }, { top, bottom: top + 50 }, { scrollTop: to }, isAnchored);
  };
  const [byPlatform, byList] = [{ pixels: 0, isAnchored: true }, (pixels: number) => ({ pixels, isAnchored: false })];
  // A list at rest shows who does it.
  assert.deepEqual(held(500, 1700, 2200, false), byPlatform);
  assert.deepEqual(held(500, 1700, 500, true), byList(1700));
  // Flung by 500 either way, it does not: it could be the other one, flung by 1,200.
  for (const fling of [500, -500]) {
    assert.deepEqual(held(1000, 1700, 2700 + fling, true), byPlatform);
    assert.deepEqual(held(1000, 1700, 1000 + fling, false), byList(1700));
  }
  // A row became four pixels higher while the finger scrolled up.
  assert.deepEqual(held(3000, 4, 2454, true), byPlatform);
  assert.deepEqual(held(3000, 0.4, 3000, false), byList(0));
  // A finger that came to the beginning: there no platform does it, and nothing is learned from that.
  assert.deepEqual(held(1, 1700, 0, true), { pixels: 1700, isAnchored: true });
  assert.deepEqual(held(1, 1700, 1701, false), byList(0));
});
