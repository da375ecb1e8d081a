// The client that the components show: the host sets it, and replaces it when somebody else signs in.

import type { ImClient } from './core/index';

let current: ImClient | null = null;
let service = '';

/** The client of whoever is signed in. */
export function client(): ImClient | null {
  return current;
}

/** Where its service is, as the host said; empty if it did not. */
export function serviceOf(): string {
  return service;
}

/**
 * From now on components that are opened show this client's conversations; null if nobody is signed in. `server` is
 * where the client was told that its service is.
 */
export function show(client: ImClient | null, server = ''): void {
  current = client;
  service = server;
}
