// How long the first screen takes on a slow network: 1.6 Mbit/s, 150 ms for each answer, nothing in the cache. Prints
// figures and writes them to `test-output/figures/`, as the tests of the service do.

import fs from 'node:fs';
import { fileURLToPath } from 'node:url';

import { launch } from '../test/e2e/phone';
import { measure, serve, sum } from '../test/web/first-screen';

const RUNS = 7;
const NAME = 'first_screen';

const [page, browser] = await Promise.all([serve(), launch()]);
// The browser's own start is no part of it.
await measure(browser, page.url, false);
const runs = [];
for (let run = 0; run < RUNS; run++) runs.push(await measure(browser, page.url, true));
await browser.close();
page.close();

const times = runs.map(({ ms }) => ms).sort((a, b) => a - b);
const bytes = runs[0]?.bytes ?? {};
const round = (ms = 0) => Math.round(ms * 10) / 10;
const figures = [
  ...Object.entries(bytes).map(([name, value]) => ({ what: `bytes of ${name}`, value, unit: 'bytes' })),
  { what: 'bytes until the field can be used', value: sum(bytes), unit: 'bytes' },
  { what: 'runs', value: RUNS, unit: '' },
  { what: 'field can be used after, fastest', value: round(times[0]), unit: 'ms' },
  { what: 'field can be used after, median', value: round(times[Math.floor(RUNS / 2)]), unit: 'ms' },
  { what: 'field can be used after, slowest', value: round(times.at(-1)), unit: 'ms' },
];
const widest = Math.max(...figures.map(({ what }) => what.length));
console.log(NAME);
for (const { what, value, unit } of figures) console.log(`  ${what.padEnd(widest)}  ${value} ${unit}`);
const folder = fileURLToPath(new URL('../../test-output/figures/', import.meta.url));
fs.mkdirSync(folder, { recursive: true });
fs.writeFileSync(`${folder}${NAME}.json`, `${JSON.stringify({ test: NAME, failed: false, figures }, null, 2)}\n`);
