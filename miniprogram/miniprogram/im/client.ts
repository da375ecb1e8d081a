// Makes a client.

import type { ClientOptions, ImClient } from './types';

/** A client at rest: `start` connects it. It shows at once what storage has. */
export declare function createClient(options: ClientOptions): ImClient;
