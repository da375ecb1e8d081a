// Node `ws` with the batches of imserver and the rows that it writes, Redis between the processes.
import { BatchStore } from './lib/batch-store.js';
import { settings } from './lib/settings.js';
import { run } from './lib/sockets.js';

const from = settings();
await run('ws-batch', from, await BatchStore.open(from.databaseUrl));
