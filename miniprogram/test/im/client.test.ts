// What a client sends and shows, one thing at a time, in virtual time.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { UserId } from '../../miniprogram/im/index';
import { Desk, LI, ME } from './desk';

test('a send waits for retryAfterMs, and keeps the order of writing', async () => {
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

test('many read marks, and typing on each key, are sent as few frames', async () => {
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
  const { people, chats } = desk.server.conversation(ME, LI)!;
  assert.equal(people.get(ME)?.readUpTo, chats[chats.length - 1]!.id);
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

test('a user whose presence is shown only after an answer is watched again with it', async () => {
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

test('a chat that would have to wait for minutes fails, and the others are sent', async () => {
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

test('typing is shown for a while, or until the chat comes', async () => {
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

test('unknown frames and kinds are ignored', async () => {
  const desk = await new Desk().online();
  desk.server.notify(ME, { type: 'weather', rain: true });
  desk.server.strange(ME);
  desk.server.store(LI, ME, 'after it', 'k');
  await desk.time.pass(1000);
  assert.equal(desk.client.conversation(LI)?.lastChat?.content, 'after it');
  assert.equal(desk.connects.length, 1);
  assert.deepEqual(desk.reports, []);
});
