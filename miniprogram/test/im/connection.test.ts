// When a client connects, waits, logs in and gives up, in virtual time.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Desk, LI, ME } from './desk';
import { CALM } from './sim/phone';

for (const [code, reason] of [
  [1000, 'closed'],
  [1001, 'closed'],
  [1007, 'protocol'],
  [1009, 'protocol'],
  [4400, 'protocol'],
  [4403, 'kicked'],
  [4409, 'replaced'],
] as const) {
  test(`${code} stops the client for good, as ${reason}`, async () => {
    const { time, server, client, connects, reports } = await new Desk().online();
    server.closeAll(code, 'said by the service');
    await time.pass(600_000);
    assert.deepEqual(client.connection, { phase: 'stopped', reason });
    assert.equal(connects.length, 1);
    assert.deepEqual(reports, reason === 'protocol' ? ['protocol_close'] : []);
    client.show();
    await time.pass(3000);
    assert.equal(client.connection.phase, reason === 'closed' ? 'online' : 'stopped');
    client.start();
    await time.pass(3000);
    assert.equal(client.connection.phase, 'online');
  });
}

for (const [code, reason] of [
  [1000, 'interrupted'],
  [1001, 'Stream end encountered'],
  [1006, ''],
  [4408, 'too slow'],
  [4410, 'silent'],
  [4429, 'too many'],
] as const) {
  test(`${code} ${reason} is followed by another socket`, async () => {
    const { time, server, client, connects } = await new Desk().online();
    server.closeAll(code, reason);
    await time.pass(5000);
    assert.equal(client.connection.phase, 'online');
    assert.equal(connects.length, 2);
  });
}

test('4401 is followed by a login, and a session that ends at once by a wait', async () => {
  const desk = await new Desk().online();
  const { time, server } = desk;
  server.expire(ME);
  await time.pass(1000);
  assert.deepEqual([desk.logins, desk.client.connection.phase], [1, 'online']);
  for (let again = 0; again < 50; again += 1) {
    server.expire(ME);
    await time.pass(1000);
  }
  assert.ok(desk.logins < 30, `${desk.logins} logins in 50 s`);
});

test('a connect that fails while the session is good is no reason to log in', async () => {
  const desk = await new Desk().online();
  desk.app.faults = { ...CALM, fail: 1 };
  desk.app.cut(false);
  await desk.time.pass(60_000);
  assert.equal(desk.logins, 0);
  assert.ok(desk.connects.length > 3, `${desk.connects.length} attempts`);
});

test('a session that ended without a socket is noticed by asking over HTTP', async () => {
  const desk = await new Desk().online();
  desk.client.hide();
  await desk.time.pass(1000);
  desk.server.expire(ME);
  desk.client.show();
  await desk.time.pass(3000);
  assert.equal(desk.logins, 1);
  assert.equal(desk.client.connection.phase, 'online');
});

test('a login that needs the user, or gives another user, stops the client', async () => {
  for (const [login, reason] of [
    [() => Promise.resolve(null), 'signed_out'],
    [() => Promise.resolve(new Desk().sessionOf(LI)), 'other_account'],
  ] as const) {
    const { time, server, client } = await new Desk({ login }).online();
    server.expire(ME);
    await time.pass(3000);
    assert.deepEqual(client.connection, { phase: 'stopped', reason });
  }
});

test('the bound of waits doubles from 1 s to 30 s, until 60 s of stable connection', async () => {
  const desk = await new Desk().online();
  desk.app.random = () => 0.999;
  const waits = async (count: number): Promise<number[]> => {
    desk.server.crash();
    const found: number[] = [];
    while (found.length < count) {
      await desk.time.pass(10);
      const { connection } = desk.client;
      if (connection.phase !== 'waiting') continue;
      found.push(Math.round((connection.until - desk.time.now()) / 1000));
      await desk.time.pass(connection.until - desk.time.now());
    }
    desk.server.up = true;
    await desk.time.pass(35_000);
    assert.equal(desk.client.connection.phase, 'online');
    return found;
  };
  assert.deepEqual(await waits(7), [1, 2, 4, 8, 16, 30, 30]);
  // Less than a minute after that, the bound is where it was.
  assert.deepEqual(await waits(1), [30]);
  await desk.time.pass(61_000);
  assert.deepEqual(await waits(2), [1, 2]);
});

test('after a drain the client reconnects at the time that the service named', async () => {
  const { time, server, client, connects } = await new Desk().online();
  const before = time.now();
  server.drain();
  await time.pass(300);
  server.up = true;
  assert.equal(client.connection.phase, 'waiting');
  await time.pass(5000);
  assert.equal(client.connection.phase, 'online');
  assert.equal(connects.length, 2);
  assert.ok(connects[1]! - before >= 500, 'not before');
});

test('hiding closes the socket; showing opens one at once, even in a long wait', async () => {
  const { time, server, client, app } = await new Desk().online();
  client.hide();
  await time.pass(60_000);
  assert.deepEqual(client.connection, { phase: 'hidden' });
  client.show();
  await time.pass(200);
  assert.notEqual(client.connection.phase, 'connecting');
  server.crash();
  await time.pass(60_000);
  server.up = true;
  client.show();
  await time.pass(1000);
  assert.equal(client.connection.phase, 'online');
  client.network(false);
  app.setNetwork(false);
  await time.pass(60_000);
  assert.deepEqual(client.connection, { phase: 'offline' });
  app.setNetwork(true);
  client.network(true);
  await time.pass(1000);
  assert.equal(client.connection.phase, 'online');
});

test('a socket that died silently is noticed within 40 s', async () => {
  const { time, client, app, connects } = await new Desk().online();
  app.cut(true);
  await time.pass(45_000);
  assert.equal(connects.length, 2);
  assert.equal(client.connection.phase, 'online');
});

test('pings are 30 s apart', async () => {
  const desk = await new Desk().online();
  await desk.time.pass(300_000);
  const times = desk.sent('ping').map(({ at }) => at);
  assert.equal(times.length, 10);
  for (const [index, at] of times.entries()) if (index > 0) assert.ok(at - times[index - 1]! >= 29_000, String(times));
});
