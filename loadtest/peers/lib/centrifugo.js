// A node of Centrifugo, and the back end that it asks: who connects, and what becomes of a chat.
//
//   in   connect {userId}; rpc "send" {key, to, content}
//   out  its result {key, id, time, seq?} or {key, code};
//        on the user's own channel {id, from, to, key, content, time, seq?}
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';

import { free, NodeApi } from './centrifugo-node.js';
import { answer, listen, onEnd, send } from './serve.js';
import { codeOf, eventOf, letterOf } from './store.js';

/** @import { IncomingMessage, ServerResponse } from 'node:http' */
/** @import { Settings } from './settings.js' */
/** @import { Store } from './store.js' */

const CONFIG = fileURLToPath(new URL('../centrifugo/config.json', import.meta.url));

/**
 * What Centrifugo asks, as far as it is of interest here.
 * @typedef {{ user?: string, data?: unknown }} Question
 */

/**
 * @param {string} name
 * @param {Settings} settings
 * @param {Store} store
 */
export async function run(name, settings, store) {
  const program = process.env.CENTRIFUGO_PROGRAM;
  if (!program) throw new Error('CENTRIFUGO_PROGRAM names the program that Go makes of Centrifugo');
  const [key, nodePort] = [randomBytes(16).toString('hex'), settings.port || (await free())];
  const api = new NodeApi(nodePort, key);
  const http = createServer((request, response) => {
    const { url } = request;
    const isNode = url === '/connect' || url === '/rpc';
    const result = isNode ? asked(url, store, api, request, response) : answer(store, request, response);
    result.catch((/** @type {unknown} */ error) => {
      console.error('a request failed:', error);
      send(response, 500, { error: 'failed' });
    });
  });
  const here = `http://127.0.0.1:${await listen(http, 0)}`;
  const node = spawn(program, ['--config', CONFIG], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: {
      CENTRIFUGO_HTTP_SERVER_PORT: `${nodePort}`,
      CENTRIFUGO_HTTP_API_KEY: key,
      CENTRIFUGO_ENGINE_REDIS_ADDRESS: settings.redisUrl,
      CENTRIFUGO_CLIENT_PROXY_CONNECT_ENDPOINT: `${here}/connect`,
      CENTRIFUGO_RPC_PROXY_ENDPOINT: `${here}/rpc`,
    },
  });
  let isEnding = false;
  /** @type {Promise<void>} */
  const ended = new Promise((resolve) => {
    node.once('error', (error) => {
      console.error('Centrifugo was not started:', error.message);
      process.exit(1);
    });
    node.once('exit', (code) => {
      if (!isEnding) {
        console.error(`Centrifugo ended with ${code ?? 'a signal'}`);
        process.exit(1);
      }
      resolve();
    });
  });
  onEnd(http, async () => {
    isEnding = true;
    node.kill('SIGTERM');
    await ended;
    await store.close();
    api.close();
  });
  await api.ready();
  console.log(`${name} reads back on ${here}`);
  console.log(`${name} listens on http://127.0.0.1:${nodePort}`);
}

/**
 * @param {string} what
 * @param {Store} store
 * @param {NodeApi} api
 * @param {IncomingMessage} request
 * @param {ServerResponse} response
 */
async function asked(what, store, api, request, response) {
  let body = '';
  request.setEncoding('utf8');
  for await (const part of request) body += String(part);
  const said = /** @type {unknown} */ (JSON.parse(body));
  const question = /** @type {Question} */ (said);
  if (what === '/rpc') send(response, 200, { result: { data: await receive(question, store, api) } });
  else send(response, 200, await connect(question, store));
}

/**
 * Everybody is the number that they say they are.
 * @param {Question} question
 * @param {Store} store
 */
async function connect({ data }, store) {
  const user = Number(/** @type {{ userId?: unknown } | undefined} */ (data)?.userId);
  if (!Number.isSafeInteger(user) || user < 1) return { disconnect: { code: 4501, reason: 'who?' } };
  await store.join(user);
  // A subscription of the server's own, which stands before the client hears that it is connected.
  return { result: { user: `${user}`, channels: [channel(user)] } };
}

/**
 * @param {Question} question
 * @param {Store} store
 * @param {NodeApi} api
 */
async function receive({ user, data }, store, api) {
  const letter = letterOf(data, Number(user));
  if (!letter) return { code: 'invalid' };
  try {
    const kept = await store.append(letter);
    // Centrifugo sends a client's next call when this one is answered, so its chats are published in their order.
    if (!kept.isRepeat) await api.publish(channel(letter.target), eventOf(letter, kept));
    return { key: letter.key, id: kept.id, time: kept.time, seq: kept.seq };
  } catch (error) {
    return { key: letter.key, code: codeOf(error) };
  }
}

/** @param {number} user */
function channel(user) {
  return `user:${user}`;
}
