// The HTTP side, the same for every server here, and its end.
import { createServer } from 'node:http';

/** @import { IncomingMessage, ServerResponse } from 'node:http' */
/** @import { Settings } from './settings.js' */
/** @import { Store } from './store.js' */

/**
 * A server that answers `/healthz` and `/readback`; sockets are added by whoever made it.
 * @param {Store} store
 */
export function httpServer(store) {
  return createServer((request, response) => {
    answer(store, request, response).catch((/** @type {unknown} */ error) => {
      console.error('a request failed:', error);
      send(response, 500, { error: 'failed' });
    });
  });
}

/**
 * Listens, says so, and ends on SIGTERM or SIGINT.
 * @param {string} name
 * @param {Settings} settings
 * @param {import('node:http').Server} http
 * @param {() => Promise<void>} close
 */
export function serve(name, settings, http, close) {
  void listen(http, settings.port).then((port) => {
    console.log(`${name} listens on http://127.0.0.1:${port}`);
  });
  onEnd(http, close);
}

/**
 * Listens on loopback; the port, which is another one than 0.
 * @param {import('node:http').Server} http
 * @param {number} port
 * @returns {Promise<number>}
 */
export function listen(http, port) {
  return new Promise((resolve) => {
    http.listen(port, '127.0.0.1', 4096, () => {
      const address = http.address();
      resolve(typeof address === 'object' && address ? address.port : port);
    });
  });
}

/**
 * Ends on SIGTERM or SIGINT.
 * @param {import('node:http').Server} http
 * @param {() => Promise<void>} close
 */
export function onEnd(http, close) {
  const end = () => {
    http.close();
    close().then(
      () => process.exit(0),
      (/** @type {unknown} */ error) => {
        console.error('the end failed:', error);
        process.exit(1);
      },
    );
  };
  process.once('SIGTERM', end);
  process.once('SIGINT', end);
}

/**
 * Who opens a socket: the number that they say they are.
 * @param {IncomingMessage} request
 */
export function userOf(request) {
  const user = Number(new URL(request.url ?? '', 'http://localhost').searchParams.get('userId'));
  return Number.isSafeInteger(user) && user > 0 ? user : undefined;
}

/**
 * Answers `/healthz` and `/readback`.
 * @param {Store} store
 * @param {IncomingMessage} request
 * @param {ServerResponse} response
 */
export async function answer(store, request, response) {
  const url = new URL(request.url ?? '', 'http://localhost');
  if (url.pathname === '/healthz') {
    send(response, 200, { status: 'ok' });
    return;
  }
  const user = userOf(request);
  if (url.pathname !== '/readback' || user === undefined) {
    send(response, 404, { error: 'not_found' });
    return;
  }
  const after = Number(url.searchParams.get('after') ?? 0);
  const limit = Math.min(Number(url.searchParams.get('limit') ?? 100), 1000);
  send(response, 200, await store.readBack(user, after, limit));
}

/**
 * @param {ServerResponse} response
 * @param {number} status
 * @param {unknown} body
 */
export function send(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}
