// The way between processes: a channel of Redis for each user, subscribed where the user has a socket.
import { createClient } from 'redis';

import { CHANNELS } from './settings.js';

/** @typedef {(frame: string) => void} Listener */

export class Bus {
  #publisher;
  #subscriber;

  /** @param {string} redisUrl */
  constructor(redisUrl) {
    this.#publisher = connection(redisUrl);
    this.#subscriber = connection(redisUrl);
  }

  /** @param {string} redisUrl */
  static async open(redisUrl) {
    const bus = new Bus(redisUrl);
    await Promise.all([bus.#publisher.connect(), bus.#subscriber.connect()]);
    return bus;
  }

  /**
   * Does not wait. What one tick publishes goes out in one write: the client pipelines by itself.
   * @param {number} user
   * @param {string} frame
   */
  publish(user, frame) {
    this.#publisher.publish(channel(user), frame).catch(report);
  }

  /**
   * From when this is done on, the listener is called for all that is published.
   * @param {number} user
   * @param {Listener} listener
   */
  async subscribe(user, listener) {
    await this.#subscriber.subscribe(channel(user), listener);
  }

  /**
   * @param {number} user
   * @param {Listener} listener
   */
  unsubscribe(user, listener) {
    // A connection that is lost has no subscriptions.
    this.#subscriber.unsubscribe(channel(user), listener).catch(() => undefined);
  }

  close() {
    this.#publisher.destroy();
    this.#subscriber.destroy();
  }
}

/** @param {string} redisUrl */
export function connection(redisUrl) {
  const client = createClient({ url: redisUrl });
  client.on('error', report);
  return client;
}

/** @param {number} user */
function channel(user) {
  return `${CHANNELS}user:${user}`;
}

/** @param {unknown} error */
function report(error) {
  console.error('Redis:', error instanceof Error ? error.message : error);
}
