// More than a thousand random runs against a fake service. A failure names its seed: IM_SEED=123 repeats it,
// IM_RUNS=100000 runs longer.

import { test } from 'node:test';

import { core } from './core';
import { run } from './sim/run';

const { createClient } = core;

const first = Number(process.env['IM_SEED'] ?? 1);
const count = Number(process.env['IM_RUNS'] ?? (process.env['IM_SEED'] === undefined ? 1600 : 1));

test(`${count} random runs lose, duplicate and reorder nothing`, async () => {
  for (let seed = first; seed < first + count; seed += 1) await run(createClient, seed);
});
