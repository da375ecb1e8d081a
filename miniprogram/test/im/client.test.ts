// What the client promises, one thing at a time, in virtual time.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { ClientOptions, ImClient, Report, Session, UserId } from '../../miniprogram/im/index';
import { core } from './core';
import { Chance } from './sim/chance';
import { App, CALM, Disk } from './sim/phone';
import { FakeServer } from './sim/server';
import { VirtualTime } from './sim/time';

const { createClient } = core;

const ME = 1 as UserId;
const LI = 2 as UserId;

class Desk {
  readonly time = new VirtualTime();
  readonly chance = new Chance(1);
  readonly server = new FakeServer(this.time, this.chance);
  readonly disk = new Disk();
  readonly reports: Report['code'][] = [];
  readonly session: Session = this.sessionOf(ME);
  logins = 0;
  connects: number[] = [];
  /** What the client has sent, over all sockets. */
  readonly frames: { readonly at: number; readonly type: string; readonly [key: string]: unknown }[] = [];
  app!: App;
  client!: ImClient;

  constructor(options: Partial<ClientOptions> = {}) {
    this.launch(options);
  }

  launch(options: Partial<ClientOptions> = {}): void {
    const app = new App(this.time, this.chance, this.server, this.disk);
    const connect = app.connect.bind(app);
    app.connect = (...args) => {
      this.connects.push(this.time.now());
      const socket = connect(...args);
      const send = socket.send.bind(socket);
      socket.send = (text) => {
        this.frames.push({ at: this.time.now(), ...(JSON.parse(text) as { type: string }) });
        send(text);
      };
      return socket;
    };
    this.app = app;
    this.client = createClient({
      server: 'http://server',
      platform: app,
      session: this.session,
      login: () => {
        this.logins += 1;
        return Promise.resolve(this.sessionOf(ME));
      },
      ...options,
    });
    this.client.onReport(({ code }) => this.reports.push(code));
    this.client.start();
  }

  async online(): Promise<this> {
    await this.time.pass(3000);
    assert.equal(this.client.connection.phase, 'online');
    return this;
  }

  sessionOf(id: UserId): Session {
    return { token: this.server.login(id), user: { id, name: `user ${id}`, avatarUrl: null } };
  }

  sent(type: string) {
    return this.frames.filter((frame) => frame.type === type);
  }
}

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

test('a session that ended while nobody was connected is found by asking', async () => {
  const desk = await new Desk().online();
  desk.client.hide();
  await desk.time.pass(1000);
  desk.server.expire(ME);
  desk.client.show();
  await desk.time.pass(3000);
  assert.equal(desk.logins, 1);
  assert.equal(desk.client.connection.phase, 'online');
});

test('a login by hand, or by somebody else, stops the client', async () => {
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

test('waits are drawn from bounds that double from 1 s to 30 s, until 60 s of stable connection', async () => {
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

test('a drain is followed by a return at the time that it named', async () => {
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

test('a socket that died without a word is found within 40 s', async () => {
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

test('retryAfterMs is heeded, and the order of writing kept', async () => {
  const desk = await new Desk().online();
  desk.server.busy = 1;
  for (const content of ['a', 'b', 'c']) desk.client.send(LI, content);
  await desk.time.pass(20_000);
  const times = desk.sent('send').map(({ at }) => at);
  assert.ok(times.length > 2 && times.every((at, index) => index === 0 || at - times[index - 1]! >= 100), String(times));
  desk.server.busy = 0;
  await desk.time.pass(10_000);
  assert.deepEqual(desk.server.conversation(ME, LI)?.chats.map(({ content }) => content), ['a', 'b', 'c']);
});

test('read marks of many and typing on each key are few frames', async () => {
  const desk = await new Desk().online();
  desk.client.open(LI);
  for (let count = 0; count < 100; count += 1) {
    desk.server.store(LI, ME, `${count}`, `${count}`);
    desk.client.typing(LI);
    await desk.time.pass(100);
    desk.client.markRead(LI);
  }
  await desk.time.pass(2000);
  desk.client.markRead(LI);
  await desk.time.pass(2000);
  assert.ok(desk.sent('read').length <= 22, `${desk.sent('read').length} read marks in 10 s`);
  const typing = desk.sent('typing').length;
  assert.ok(typing >= 2 && typing <= 5, `${typing} times typing`);
  const { readUpTo, chats } = desk.server.conversation(ME, LI)!;
  assert.equal(readUpTo.get(ME), chats[chats.length - 1]!.id);
  assert.equal(desk.client.conversation(LI)?.unread, 0);
});

test('a stranger on the screen is watched from the first chat on', async () => {
  const desk = await new Desk().online();
  desk.client.watch([LI]);
  await desk.time.pass(1000);
  assert.deepEqual(desk.server.watchedBy(ME), []);
  desk.client.send(LI, 'hello');
  await desk.time.pass(1000);
  assert.deepEqual(desk.server.watchedBy(ME), [LI]);
  assert.equal(desk.client.presence(LI)?.online, true);
  desk.client.send(LI, 'and no more of it');
  await desk.time.pass(5000);
  assert.equal(desk.sent('watch').length, 2);
});

test('who is shown only after an answer is watched again with it', async () => {
  const desk = new Desk();
  desk.server.bothWrote = true;
  await desk.online();
  desk.client.watch([LI]);
  await desk.time.pass(1000);
  for (const content of ['hello', 'are you there?', 'hm']) {
    desk.client.send(LI, content);
    await desk.time.pass(3000);
  }
  assert.deepEqual(desk.server.watchedBy(ME), []);
  assert.equal(desk.sent('watch').length, 2);
  desk.server.store(LI, ME, 'yes', 'yes');
  await desk.time.pass(1000);
  assert.deepEqual(desk.server.watchedBy(ME), [LI]);
  assert.equal(desk.client.presence(LI)?.online, true);
  desk.server.store(LI, ME, 'and more', 'and more');
  await desk.time.pass(5000);
  assert.equal(desk.sent('watch').length, 3);
});

test('a chat that would have to wait for minutes fails, and the others go on', async () => {
  const desk = await new Desk().online();
  const stranger = 3 as UserId;
  desk.server.closedTo.add(stranger);
  desk.client.open(stranger);
  desk.client.send(stranger, 'who are you?');
  desk.client.send(LI, 'hello');
  await desk.time.pass(5000);
  assert.deepEqual(desk.server.conversation(ME, LI)?.chats.map(({ content }) => content), ['hello']);
  const [failed] = desk.client.chats(stranger).items;
  assert.equal(failed?.failure, 'rate_limited');
  await desk.time.pass(600_000);
  assert.equal(desk.sent('send').length, 2);
  desk.server.closedTo.clear();
  desk.client.resend(stranger, failed.key);
  await desk.time.pass(5000);
  assert.equal(desk.server.conversation(ME, stranger)?.chats.length, 1);
});

test('two accounts on one phone keep to themselves', async () => {
  const desk = await new Desk().online();
  desk.server.up = false;
  desk.client.send(LI, 'mine');
  desk.client.stop();
  desk.launch({ session: desk.sessionOf(LI) });
  desk.client.open(ME);
  assert.deepEqual(desk.client.chats(ME).items, []);
  assert.deepEqual(desk.client.conversations(), []);
  desk.client.stop();
  desk.launch();
  desk.client.open(LI);
  assert.deepEqual(desk.client.chats(LI).items.map(({ content, status }) => [content, status]), [['mine', 'pending']]);
});

test('what cannot be kept or sent is refused by name, and changes nothing', async () => {
  const desk = await new Desk().online();
  desk.client.open(LI);
  assert.deepEqual(desk.client.send(LI, ' \n'), { ok: false, code: 'blank' });
  assert.deepEqual(desk.client.send(LI, '长'.repeat(22_000)), { ok: false, code: 'too_long' });
  desk.server.crash();
  await desk.time.pass(1000);
  for (let count = 0; count < 100; count += 1) assert.equal(desk.client.send(LI, `${count}`).ok, true);
  assert.deepEqual(desk.client.send(LI, 'one more'), { ok: false, code: 'outbox_full' });
  assert.equal(desk.client.discard(LI, 'nothing'), false);
  await desk.time.pass(1000);
  assert.equal(desk.client.chats(LI).items.length, 100);
});

test('a full storage costs caches first, and says so', async () => {
  const desk = await new Desk().online();
  for (const peer of [2, 3, 4, 5] as UserId[]) {
    for (let count = 0; count < 30; count += 1) desk.server.store(peer, ME, 'text'.repeat(20), `${peer}-${count}`);
    desk.client.open(peer);
    await desk.time.pass(3000);
    desk.client.close(peer);
  }
  const used = [...desk.disk.texts.values()].reduce((sum, text) => sum + text.length, 0);
  desk.disk.room = used + 100;
  assert.equal(desk.client.send(LI, 'x'.repeat(2000)).ok, true);
  assert.deepEqual(desk.reports, ['storage_evicted']);
  desk.disk.room = 10;
  assert.deepEqual(desk.client.send(LI, 'no room'), { ok: false, code: 'storage_full' });
  assert.deepEqual(desk.reports.slice(-1), ['storage_full']);
});

test('storage stays within its bounds', async () => {
  const desk = await new Desk().online();
  for (let peer = 2; peer < 60; peer += 1) {
    for (let count = 0; count < 8; count += 1) desk.server.store(peer, ME, '长'.repeat(2000), `${peer}-${count}`);
    desk.client.open(peer as UserId);
    await desk.time.pass(2000);
    desk.client.close(peer as UserId);
  }
  desk.client.stop();
  const sizes = [...desk.disk.texts.values()].map((text) => Buffer.byteLength(text));
  assert.ok(Math.max(...sizes) < 1_000_000, 'each key');
  assert.ok(sizes.reduce((sum, size) => sum + size, 0) < 10_000_000, 'all of them');
  assert.ok([...desk.disk.texts.keys()].filter((key) => key.includes('log.')).length <= 30, 'conversations');
});

test('signing out leaves nothing but what is kept on purpose', async () => {
  for (const unsent of ['keep', 'discard'] as const) {
    const desk = await new Desk().online();
    desk.client.open(LI);
    desk.server.crash();
    await desk.time.pass(2000);
    desk.client.send(LI, 'not yet');
    const ended = desk.client.signOut(unsent);
    await desk.time.pass(20_000);
    await ended;
    const keys = [...desk.disk.texts.keys()].map((key) => key.slice(key.lastIndexOf('|') + 1));
    assert.deepEqual(keys, unsent === 'keep' ? ['device', 'outbox'] : ['device']);
    assert.equal(desk.client.connection.phase, 'idle');
  }
});

test('somebody who types is shown as typing for a while, or until the chat comes', async () => {
  const desk = await new Desk().online();
  const types = () => {
    desk.server.notify(ME, { type: 'typing', userId: LI });
  };
  types();
  await desk.time.pass(500);
  assert.equal(desk.client.isTyping(LI), true);
  await desk.time.pass(6000);
  assert.equal(desk.client.isTyping(LI), false);
  types();
  desk.server.store(LI, ME, 'done', 'k');
  await desk.time.pass(500);
  assert.equal(desk.client.isTyping(LI), false);
});

test('frames and kinds that are not known are passed by', async () => {
  const desk = await new Desk().online();
  desk.server.notify(ME, { type: 'weather', rain: true });
  desk.server.strange(ME);
  desk.server.store(LI, ME, 'after it', 'k');
  await desk.time.pass(1000);
  assert.equal(desk.client.conversation(LI)?.lastChat.content, 'after it');
  assert.equal(desk.connects.length, 1);
  assert.deepEqual(desk.reports, []);
});
