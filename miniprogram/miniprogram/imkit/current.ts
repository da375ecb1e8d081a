// The client that the components show: the host sets it, and replaces it when somebody else signs in.

import type { ImClient } from './core/index';

let current: ImClient | null = null;

/** The client of whoever is signed in. */
export function client(): ImClient | null {
  return current;
}

/** From now on components that are opened show this client's conversations; null if nobody is signed in. */
export function show(client: ImClient | null): void {
  current = client;
}
