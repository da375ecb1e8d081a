// The clients that the smoke test speaks with: each protocol in its fewest words.
import { WebSocket } from 'ws';

/**
 * @typedef {object} Chat
 * @property {number} id
 * @property {number} [from]
 * @property {string} key
 * @property {string} [content]
 * @property {number} [seq]
 */

/**
 * What a frame means.
 * @typedef {{ ready?: true, say?: string, sent?: Chat, event?: Chat }} Heard
 */

/**
 * @typedef {object} Protocol
 * @property {(user: number) => string} path
 * @property {(user: number) => string} [greeting]
 * @property {(number: number, letter: object) => string} send
 * @property {(frame: string) => Heard[]} hear
 */

/** @param {string} text @returns {unknown} */
const parse = (text) => JSON.parse(text);

/** @type {Protocol} */
const plain = {
  path: (user) => `/?userId=${user}`,
  send: (_, letter) => JSON.stringify({ type: 'send', ...letter }),
  hear: (frame) => {
    const { type, ...chat } = /** @type {Chat & { type: string }} */ (parse(frame));
    if (type === 'ready') return [{ ready: true }];
    return [type === 'sent' ? { sent: chat } : { event: chat }];
  },
};

/** @type {Protocol} */
const socketio = {
  path: (user) => `/socket.io/?EIO=4&transport=websocket&userId=${user}`,
  send: (number, letter) => `42${number}${JSON.stringify(['send', letter])}`,
  hear: (frame) => {
    if (frame.startsWith('0')) return [{ say: '40' }];
    if (frame === '2') return [{ say: '3' }];
    const chat = () => /** @type {Chat[]} */ (parse(frame.slice(frame.indexOf('['))));
    if (frame.startsWith('43')) return chat().map((sent) => ({ sent }));
    if (frame.startsWith('42["ready"')) return [{ ready: true }];
    if (frame.startsWith('42')) return chat().slice(1).map((event) => ({ event }));
    return [];
  },
};

/** @typedef {{ id?: number, connect?: object, rpc?: { data: Chat }, push?: { pub?: { data: Chat } } }} Reply */

/** @type {Protocol} */
const centrifuge = {
  path: (user) => `/connection/websocket?userId=${user}`,
  greeting: (user) => JSON.stringify({ id: 1, connect: { data: { userId: user } } }),
  send: (number, letter) => JSON.stringify({ id: number + 2, rpc: { method: 'send', data: letter } }),
  hear: (frame) =>
    frame
      .trim()
      .split('\n')
      .map((line) => {
        const reply = /** @type {Reply} */ (parse(line));
        if (reply.connect) return { ready: true };
        if (reply.rpc) return { sent: reply.rpc.data };
        if (reply.push?.pub) return { event: reply.push.pub.data };
        return { say: '{}' };
      }),
};

/** @type {Record<string, Protocol>} */
export const protocols = {
  socketio,
  'ws-insert': plain,
  'ws-batch': plain,
  centrifuge,
  'centrifugo-insert': centrifuge,
  'centrifugo-batch': centrifuge,
};

export class Client {
  /** @type {Chat[]} */
  sent = [];
  /** @type {Chat[]} */
  events = [];
  #written = 0;

  /**
   * @param {Protocol} protocol
   * @param {string} base
   * @param {number} user
   */
  constructor(protocol, base, user) {
    this.user = user;
    this.protocol = protocol;
    this.socket = new WebSocket(base.replace('http', 'ws') + protocol.path(user));
  }

  /** Until chats may be sent. */
  async ready() {
    /** @type {Promise<void>} */
    const ready = new Promise((resolve, reject) => {
      this.socket.on('message', (/** @type {Buffer} */ data) => {
        const frame = data.toString();
        if (process.env.PEERS_FRAMES) console.error(frame);
        for (const heard of this.protocol.hear(frame)) {
          if (heard.say) this.socket.send(heard.say);
          if (heard.ready) resolve();
          if (heard.sent) this.sent.push(heard.sent);
          if (heard.event) this.events.push(heard.event);
        }
      });
      this.socket.on('close', (code) => {
        reject(new Error(`closed with ${code}`));
      });
      this.socket.on('error', reject);
      const { greeting } = this.protocol;
      if (greeting) {
        this.socket.on('open', () => {
          this.socket.send(greeting(this.user));
        });
      }
    });
    await ready;
  }

  /**
   * @param {number} to
   * @returns {string} the key
   */
  write(to) {
    const number = this.#written++;
    const key = `1-${this.user}-${number}`;
    this.socket.send(this.protocol.send(number, { key, to, content: `chat ${key} 你好` }));
    return key;
  }

  close() {
    this.socket.terminate();
  }
}
