// Centrifugo with a back end that keeps chats in the batches of imserver, with the rows that it writes.
import { BatchStore } from './lib/batch-store.js';
import { run } from './lib/centrifugo.js';
import { settings } from './lib/settings.js';

const from = settings();
await run('centrifugo-batch', from, await BatchStore.open(from.databaseUrl));
