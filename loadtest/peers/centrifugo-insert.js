// Centrifugo with a back end that keeps chats by an INSERT each.
import { run } from './lib/centrifugo.js';
import { InsertStore } from './lib/insert-store.js';
import { settings } from './lib/settings.js';

const from = settings();
await run('centrifugo-insert', from, await InsertStore.open(from.databaseUrl));
