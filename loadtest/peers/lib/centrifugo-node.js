// The server API of a node of Centrifugo, over HTTP.
import { Agent, request } from 'node:http';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** How long a node may take to listen, and to answer. */
const PATIENCE = 30_000;
const ANSWER_WAIT = 5_000;

/**
 * @typedef {object} Publication
 * @property {string} channel
 * @property {unknown} data
 */

export class NodeApi {
  #agent = new Agent({ keepAlive: true });
  /** @type {Publication[]} what the next call publishes */
  #next = [];
  /** @type {Promise<void> | undefined} */
  #call;
  #port;
  #key;

  /**
   * @param {number} port
   * @param {string} key
   */
  constructor(port, key) {
    this.#port = port;
    this.#key = key;
  }

  /** Until the node answers. */
  async ready() {
    const deadline = Date.now() + PATIENCE;
    for (;;) {
      try {
        await this.#ask('GET', '/health');
        return;
      } catch (error) {
        if (Date.now() > deadline) throw error;
        await sleep(50);
      }
    }
  }

  /**
   * What comes in one tick is one call: a batch of chats is published at once.
   * @param {string} channel
   * @param {unknown} data
   */
  publish(channel, data) {
    this.#next.push({ channel, data });
    this.#call ??= new Promise((resolve, reject) => {
      setImmediate(() => {
        const publications = this.#next;
        this.#next = [];
        this.#call = undefined;
        this.#publishAll(publications).then(resolve, reject);
      });
    });
    return this.#call;
  }

  /** @param {Publication[]} publications */
  async #publishAll(publications) {
    const [only, ...others] = publications;
    if (only && others.length === 0) {
      await this.#ask('POST', '/api/publish', only);
      return;
    }
    await this.#ask('POST', '/api/batch', { commands: publications.map((publish) => ({ publish })) });
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {unknown} [body]
   * @returns {Promise<void>}
   */
  #ask(method, path, body) {
    return new Promise((resolve, reject) => {
      const text = body === undefined ? '' : JSON.stringify(body);
      const headers = {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(text),
        'x-api-key': this.#key,
      };
      const options = { agent: this.#agent, host: '127.0.0.1', port: this.#port, method, path, headers };
      const asking = request({ ...options, timeout: ANSWER_WAIT }, (response) => {
        let said = '';
        response.setEncoding('utf8');
        response.on('data', (/** @type {string} */ part) => {
          said += part;
        });
        response.on('error', reject);
        response.on('end', () => {
          if (response.statusCode === 200 && !said.includes('"error":')) resolve();
          else reject(new Error(`${path} was answered with ${response.statusCode ?? 0}: ${said}`));
        });
      });
      asking.on('timeout', () => asking.destroy(new Error(`${path} was not answered`)));
      asking.on('error', reject);
      asking.end(text);
    });
  }

  close() {
    this.#agent.destroy();
  }
}

/**
 * A port of loopback that is free.
 * @returns {Promise<number>}
 */
export function free() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => {
        if (typeof address === 'object' && address) resolve(address.port);
        else reject(new Error('a port of loopback has no number'));
      });
    });
  });
}
