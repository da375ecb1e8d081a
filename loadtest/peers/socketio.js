// Socket.IO with its adapter for Redis, an INSERT a chat.
//
//   in   send({key, to, content}, ack)
//   out  ready(), event({id, from, to, key, content, time}); ack({key, id, time}) or ack({key, code})
import { createShardedAdapter } from '@socket.io/redis-adapter';
import { Server } from 'socket.io';

import { connection } from './lib/bus.js';
import { InsertStore } from './lib/insert-store.js';
import { httpServer, serve, userOf } from './lib/serve.js';
import { CHANNELS, settings } from './lib/settings.js';
import { codeOf, eventOf, letterOf } from './lib/store.js';

/** @import { Socket } from 'socket.io' */

const from = settings();
const store = await InsertStore.open(from.databaseUrl);
const [publisher, subscriber] = [connection(from.redisUrl), connection(from.redisUrl)];
await Promise.all([publisher.connect(), subscriber.connect()]);
const http = httpServer(store);
const io = new Server(http, {
  transports: ['websocket'],
  perMessageDeflate: false,
  httpCompression: false,
  serveClient: false,
  maxHttpBufferSize: 64 * 1024,
  // A channel a room, so that a process hears only what is for its own users.
  adapter: createShardedAdapter(publisher, subscriber, {
    channelPrefix: `${CHANNELS}socket.io`,
    subscriptionMode: 'dynamic',
  }),
});
// Memory that is of no more use after the handshake; userOf() needs it until then.
io.on('connection', (socket) => {
  const user = userOf(socket.request);
  /** @type {{ request: unknown }} */ (socket.conn).request = null;
  if (user === undefined) socket.disconnect(true);
  else void welcome(socket, user);
});
serve('socketio', from, http, async () => {
  io.disconnectSockets(true);
  await store.close();
  publisher.destroy();
  subscriber.destroy();
});

/**
 * @param {Socket} socket
 * @param {number} user
 */
async function welcome(socket, user) {
  await socket.join(room(user));
  socket.on('send', (/** @type {unknown} */ message, /** @type {unknown} */ ack) => {
    if (typeof ack === 'function') {
      void receive(message, user, /** @type {(answer: unknown) => void} */ (ack));
    }
  });
  // The adapter does not wait for its subscription. Redis answers in turn, so this one does.
  await subscriber.ping();
  socket.emit('ready');
}

/**
 * @param {unknown} message
 * @param {number} user
 * @param {(answer: unknown) => void} ack
 */
async function receive(message, user, ack) {
  const letter = letterOf(message, user);
  if (!letter) {
    ack({ code: 'invalid' });
    return;
  }
  try {
    const kept = await store.append(letter);
    io.to(room(letter.target)).emit('event', eventOf(letter, kept));
    ack({ key: letter.key, id: kept.id, time: kept.time });
  } catch (error) {
    ack({ key: letter.key, code: codeOf(error) });
  }
}

/** @param {number} user */
function room(user) {
  return `user:${user}`;
}
