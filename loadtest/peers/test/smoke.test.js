// Twenty people on two processes write to each other: nothing is lost, doubled or out of order, and all of it
// is in the database when it is acknowledged.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Client, protocols } from './clients.js';
import { Stack } from './servers.js';

/** @import { Page } from '../lib/store.js' */

const PEOPLE = 20;
const CHATS = 30;

const stack = new Stack();
before(() => stack.up());
after(() => stack.down());

// What Go makes is not everybody's.
const names = Object.keys(protocols).filter((name) => {
  if (name === 'centrifuge') return process.env.CENTRIFUGE_PROGRAM;
  return !name.startsWith('centrifugo-') || process.env.CENTRIFUGO_PROGRAM;
});

test('chats cross both ways, and none is lost', { timeout: 300_000 }, async (suite) => {
  for (const name of names) {
    await suite.test(name, () => smoke(name));
  }
});

/** @param {string} name */
async function smoke(name) {
  const protocol = protocols[name];
  assert.ok(protocol);
  const { addresses, stop } = await stack.start(name);
  /** @param {number} user */
  const addressOf = (user) => addresses[user % 2] ?? { url: '', readBack: '' };
  const clients = Array.from(
    { length: PEOPLE },
    (_, place) => new Client(protocol, addressOf(place + 1).url, place + 1),
  );
  try {
    await Promise.all(clients.map((client) => client.ready()));
    /** @param {number} user the one on the other process */
    const partner = (user) => (user % 2 === 0 ? user - 1 : user + 1);
    const written = new Map(
      clients.map(({ user }) => [user, /** @type {string[]} */ ([])]),
    );
    for (let number = 0; number < CHATS; number++) {
      for (const client of clients) written.get(client.user)?.push(client.write(partner(client.user)));
    }
    await until(() => clients.every(({ sent, events }) => sent.length === CHATS && events.length === CHATS));
    for (const { user, sent, events } of clients) {
      assert.deepEqual(sent.map(({ key }) => key), written.get(user), 'acknowledged in the order of sending');
      assert.deepEqual(events.map(({ key }) => key), written.get(partner(user)), 'shown in the order of sending');
      assert.ok(events.every(({ from, key, content }) => from === partner(user) && content === `chat ${key} 你好`));
      const stored = await readBack(addressOf(user + 1).readBack, user);
      const ids = stored.map(({ id }) => id);
      assert.deepEqual(ids, [...ids].sort((a, b) => a - b));
      const shown = [...sent, ...events].map(({ id, key }) => `${id} ${key}`).sort();
      assert.deepEqual(stored.map(({ id, key }) => `${id} ${key}`).sort(), shown);
      if (name.endsWith('-batch')) {
        const numbers = [...sent, ...events].map(({ seq }) => seq ?? 0).sort((a, b) => a - b);
        assert.deepEqual(numbers, Array.from({ length: 2 * CHATS }, (_, place) => place + 1));
      }
    }
  } finally {
    for (const client of clients) client.close();
    assert.deepEqual(await stop(), [0, 0]);
  }
}

/**
 * All pages of what a user has.
 * @param {string} url
 * @param {number} user
 */
async function readBack(url, user) {
  const all = [];
  for (let after = /** @type {number | null} */ (0); after !== null; ) {
    const answer = await fetch(`${url}/readback?userId=${user}&after=${after}&limit=25`);
    assert.equal(answer.status, 200);
    const page = /** @type {Page} */ (await answer.json());
    all.push(...page.chats);
    after = page.next;
  }
  return all;
}

/** @param {() => boolean} isSo */
async function until(isSo) {
  const deadline = Date.now() + 60_000;
  while (!isSo()) {
    assert.ok(Date.now() < deadline, 'not all chats were acknowledged and shown');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
