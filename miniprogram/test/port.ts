// Ports for servers that are killed and come back where they were.

import { createServer } from 'node:net';

/**
 * A port that nobody listens on, below those that the kernel gives to connections: while its server is
 * away, no connection of anybody's takes it, that of a client to itself least of all.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 10_000);
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => {
      resolve(false);
    });
    probe.listen(port, '127.0.0.1', () => {
      probe.close(() => {
        resolve(true);
      });
    });
  });
}
