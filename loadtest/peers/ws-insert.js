// Node `ws`, an INSERT a chat, Redis between the processes.
import { InsertStore } from './lib/insert-store.js';
import { settings } from './lib/settings.js';
import { run } from './lib/sockets.js';

const from = settings();
await run('ws-insert', from, await InsertStore.open(from.databaseUrl));
