// Measures a long conversation that is scrolled to its beginning: times of frames, memory, nodes, the largest `setData`.
// The argument is the number of chats. `./dev long-chat` runs it.

import fs from 'node:fs';
import os from 'node:os';
import { fileURLToPath } from 'node:url';

import type { CDPSession } from 'playwright-core';

import { dataOf, LongChat, scrollUpTo, type Scrolled } from '../test/e2e/long';
import { launch, Phone } from '../test/e2e/phone';
import { Server } from '../test/e2e/server';

const FOLDER = fileURLToPath(new URL('../../test-output/figures/', import.meta.url));

/** Pixels a second: a fast fling. */
const SPEED = 6000;

/** The memory is measured after each. */
const PARTS = 4;

const count = Number(process.argv[2] ?? 10_000);
if (!Number.isSafeInteger(count) || count < 100) throw new Error('the number of chats is at least 100');

async function memory(cdp: CDPSession): Promise<{ heap: number; nodes: number }> {
  await cdp.send('HeapProfiler.collectGarbage');
  const { metrics } = await cdp.send('Performance.getMetrics');
  const of = (name: string) => metrics.find((each) => each.name === name)?.value ?? 0;
  return { heap: of('JSHeapUsedSize'), nodes: of('Nodes') };
}

function percentile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
}

const [server, browser] = await Promise.all([Server.start(), launch()]);
try {
  const phone = await Phone.open(browser, server.url);
  const service = new LongChat({ count, wait: 50 });
  await service.serve(phone);
  await phone.openChat('李四');
  await phone.sees(`第${count}条`);
  const cdp = await phone.page.context().newCDPSession(phone.page);
  await cdp.send('Performance.enable');
  const before = await memory(cdp);
  const begun = Date.now();
  const load = os.loadavg()[0] ?? 0;
  const parts: Scrolled[] = [];
  const marks: (readonly [what: string, value: number, unit: string])[] = [];
  for (let part = 1; part <= PARTS; part++) {
    const until = Math.max(1, count - Math.floor((count * part) / PARTS));
    parts.push(await scrollUpTo(phone, until, SPEED));
    const { heap, nodes } = await memory(cdp);
    marks.push([`heap after ${count - until + 1} chats`, heap, 'bytes'], [`nodes of the browser after ${count - until + 1} chats`, nodes, '']);
  }
  const took = Date.now() - begun;
  const after = await memory(cdp);
  const all = <T>(of: (part: Scrolled) => readonly T[]) => parts.flatMap(of);
  const frames = all((part) => part.frames);
  const { largest, calls } = await dataOf(phone);
  const figures = [
    ['chats', count, ''],
    ['chats that a frame has shown', new Set(all((part) => part.seen)).size, ''],
    ['time to the beginning', took, 'ms'],
    ['frames', frames.length, ''],
    ['frame, median', percentile(frames, 0.5), 'ms'],
    ['frame, 95 of 100', percentile(frames, 0.95), 'ms'],
    ['frame, 99 of 100', percentile(frames, 0.99), 'ms'],
    ['frame, longest', Math.max(...frames), 'ms'],
    ['tasks above 50 ms', all((part) => part.longTasks).length, ''],
    ['most rows', Math.max(...parts.map((part) => part.mostRows)), ''],
    ['most nodes', Math.max(...parts.map((part) => part.mostNodes)), ''],
    ['nodes of the browser before', before.nodes, ''],
    ['heap before', before.heap, 'bytes'],
    ...marks,
    ['heap for each chat', Math.round((after.heap - before.heap) / count), 'bytes'],
    ['largest setData', largest, 'bytes'],
    ['calls of setData', calls, ''],
    ['frames without a chat', parts.reduce((sum, { blank }) => sum + blank, 0), ''],
    ['times that chats moved against the finger', all((part) => part.jumps).length, ''],
    ['load of the machine, before', load, ''],
    ['load of the machine, after', os.loadavg()[0] ?? 0, ''],
  ] as const;
  for (const [what, value, unit] of figures) console.log(`${what}: ${value}${unit && ` ${unit}`}`);
  fs.mkdirSync(FOLDER, { recursive: true });
  const json = figures.map(([what, value, unit]) => ({ what, value, unit }));
  fs.writeFileSync(`${FOLDER}long-chat.json`, `${JSON.stringify(json, null, 2)}\n`);
} finally {
  await browser.close();
  await server.end();
}
