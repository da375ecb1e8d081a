// A chat server on `ws`: JSON frames, one a message.
//
//   in   {"type":"send","key","to","content"}
//   out  {"type":"ready"}, {"type":"sent","key","id","time","seq"?}, {"type":"refused","key","code"},
//        {"type":"event","id","from","to","key","content","time","seq"?}
import { WebSocketServer } from 'ws';

import { Bus } from './bus.js';
import { httpServer, serve, userOf } from './serve.js';
import { codeOf, eventOf, letterOf } from './store.js';

/** @import { WebSocket } from 'ws' */
/** @import { Settings } from './settings.js' */
/** @import { Store } from './store.js' */

/** Bytes that may wait for a client that does not read; with more it is cut off. */
const MOST_UNREAD = 1024 * 1024;

/**
 * @param {string} name
 * @param {Settings} settings
 * @param {Store} store
 */
export async function run(name, settings, store) {
  const bus = await Bus.open(settings.redisUrl);
  const http = httpServer(store);
  const server = new WebSocketServer({ server: http, perMessageDeflate: false, maxPayload: 64 * 1024 });
  server.on('connection', (socket, request) => {
    const user = userOf(request);
    if (user === undefined) {
      socket.close(1008, 'who?');
      return;
    }
    welcome(socket, user, store, bus).catch((/** @type {unknown} */ error) => {
      console.error('a socket was not made ready:', error);
      socket.terminate();
    });
  });
  serve(name, settings, http, async () => {
    for (const socket of server.clients) socket.terminate();
    await store.close();
    bus.close();
  });
}

/**
 * @param {WebSocket} socket
 * @param {number} user
 * @param {Store} store
 * @param {Bus} bus
 */
async function welcome(socket, user, store, bus) {
  /** @param {string} frame */
  const show = (frame) => {
    if (socket.bufferedAmount > MOST_UNREAD) socket.terminate();
    else if (socket.readyState === socket.OPEN) socket.send(frame);
  };
  socket.on('error', () => {
    socket.terminate();
  });
  socket.on('message', (data) => {
    // Not awaited: what a client sends meanwhile is worked on beside it. `receive` never fails.
    void receive(data, user, store, bus, show);
  });
  await Promise.all([store.join(user), bus.subscribe(user, show)]);
  const leave = () => {
    bus.unsubscribe(user, show);
  };
  if (socket.readyState === socket.OPEN) socket.on('close', leave);
  else leave();
  show('{"type":"ready"}');
}

/**
 * @param {import('ws').RawData} data
 * @param {number} user
 * @param {Store} store
 * @param {Bus} bus
 * @param {(frame: string) => void} show
 */
async function receive(data, user, store, bus, show) {
  const letter = letterIn(data, user);
  if (!letter) {
    show('{"type":"refused","code":"invalid"}');
    return;
  }
  try {
    const kept = await store.append(letter);
    if (!kept.isRepeat) {
      bus.publish(letter.target, JSON.stringify({ type: 'event', ...eventOf(letter, kept) }));
    }
    show(JSON.stringify({ type: 'sent', key: letter.key, id: kept.id, time: kept.time, seq: kept.seq }));
  } catch (error) {
    show(JSON.stringify({ type: 'refused', key: letter.key, code: codeOf(error) }));
  }
}

/**
 * @param {import('ws').RawData} data
 * @param {number} user
 */
function letterIn(data, user) {
  try {
    // With the default `binaryType` it is one Buffer.
    if (!Buffer.isBuffer(data)) return undefined;
    return letterOf(/** @type {unknown} */ (JSON.parse(data.toString())), user);
  } catch {
    return undefined;
  }
}
