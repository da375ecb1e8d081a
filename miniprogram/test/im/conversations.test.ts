// What the list shows when answers and events come late, one case at a time, in virtual time.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { ConversationId, GroupKey } from '../../miniprogram/imkit/core/index';
import { Desk, LI, ME } from './desk';
import type { App } from './sim/phone';
import type { VirtualTime } from './sim/time';

/** LI has written, and the conversation is open. */
async function talking(): Promise<Desk> {
  const desk = new Desk();
  desk.server.store(LI, ME, 'hello', 'first');
  await desk.online();
  desk.client.open(LI);
  await desk.time.pass(1000);
  assert.equal(desk.client.conversations().length, 1);
  return desk;
}

/** Frames of the next sockets take longer than answers, by `ms`. */
function later(app: App, time: VirtualTime): { ms: number } {
  const delay = { ms: 0 };
  const connect = app.connect.bind(app);
  app.connect = (url, protocols, handlers) =>
    connect(url, protocols, {
      ...handlers,
      message: (text) => {
        time.after(delay.ms, () => {
          handlers.message(text);
        });
      },
    });
  return delay;
}

const last = ({ server }: Desk): number => server.conversation(ME, LI)!.chats.slice(-1)[0]!.id;

test('a conversation that was hidden elsewhere stays hidden when its row is loaded after the list', async () => {
  const desk = await talking();
  const { server, client, time } = desk;
  client.hide();
  // More than the service replays, so that no event tells it.
  for (let count = 0; count < 50; count += 1) server.store(LI, ME, `${count}`, `${count}`);
  server.keep(ME, server.conversation(ME, LI)!, { hiddenUpTo: last(desk) });
  client.show();
  await time.pass(10_000);
  assert.equal(client.conversation(LI)?.lastChat?.content, '49');
  assert.deepEqual(client.conversations(), []);
  server.store(LI, ME, 'and again', 'again');
  await time.pass(1000);
  assert.equal(client.conversations()[0]?.lastChat?.content, 'and again');
});

test('a chat brings a hidden conversation back, also if its row has the chat first', async () => {
  const desk = await talking();
  const { server, time, app } = desk;
  server.keep(ME, server.conversation(ME, LI)!, { hiddenUpTo: last(desk) });
  await time.pass(3000);
  app.kill();
  desk.launch();
  // Its row is not stored.
  const delay = later(desk.app, time);
  desk.client.hide();
  desk.client.show();
  await desk.online();
  delay.ms = 3000;
  server.store(LI, ME, 'and again', 'again');
  desk.client.open(LI);
  await time.pass(1000);
  assert.equal(desk.client.conversation(LI)?.lastChat?.content, 'and again');
  await time.pass(5000);
  assert.equal(desk.client.conversations().length, 1);
});

test('chats that were cleared elsewhere are gone, also if their row is not known', async () => {
  const desk = await talking();
  const { server, time, app } = desk;
  // Rows that are hidden are not stored; their chats are.
  server.keep(ME, server.conversation(ME, LI)!, { hiddenUpTo: last(desk) });
  await time.pass(3000);
  app.kill();
  server.keep(ME, server.conversation(ME, LI)!, { clearedUpTo: last(desk) });
  desk.launch();
  await desk.online();
  desk.client.open(LI);
  await time.pass(3000);
  assert.deepEqual(desk.client.chats(LI).items, []);
});

test('a group that one left and came back to is loaded anew, also if nothing told of the leaving', async () => {
  const desk = new Desk();
  const { server, client, time } = desk;
  const group = server.group(LI, 'climbing', [ME, 3]);
  server.say(LI, group.id, 'a secret', 'first');
  await desk.online();
  client.hide();
  // More than the service replays.
  for (let count = 0; count < 50; count += 1) server.store(LI, ME, `${count}`, `${count}`);
  server.leave(group, ME);
  client.show();
  await time.pass(5000);
  const key: GroupKey = `g${group.id as ConversationId}`;
  client.open(key);
  await time.pass(1000);
  assert.equal(client.conversation(key)?.left, true);
  const words = () => client.chats(key).items.filter(({ kind }) => kind !== 'system').map(({ content }) => content);
  assert.deepEqual(words(), ['a secret']);
  server.recall(group.chats.find(({ content }) => content === 'a secret')!);
  for (let count = 0; count < 10; count += 1) server.say(3, group.id, `unseen ${count}`, `unseen-${count}`);
  server.join(group, [ME]);
  for (let count = 0; count < 10; count += 1) server.say(3, group.id, `seen ${count}`, `seen-${count}`);
  await time.pass(3000);
  while (client.chats(key).hasMore) await Promise.all([client.loadOlder(key), time.pass(1000)]);
  assert.deepEqual(words(), ['', ...Array.from({ length: 10 }, (_, count) => `seen ${count}`)]);
});

test('a group that one left and came back to is counted anew, also if nothing told of the leaving', async () => {
  const desk = new Desk();
  const { server, client, time } = desk;
  const group = server.group(LI, 'climbing', [ME, 3]);
  await desk.online();
  client.hide();
  for (let count = 0; count < 50; count += 1) server.store(LI, ME, `${count}`, `${count}`);
  server.say(LI, group.id, 'hello', 'first');
  server.leave(group, ME);
  client.show();
  await time.pass(5000);
  server.join(group, [ME]);
  await time.pass(3000);
  assert.equal(client.conversations().find(({ kind }) => kind === 'group')?.unread, 1);
});

test('a group that one left and came back to is loaded anew, also if its row tells of it before the event', async () => {
  const desk = new Desk();
  const { server, client, time, app } = desk;
  const group = server.group(LI, 'climbing', [ME, 3]);
  server.say(LI, group.id, 'a secret', 'first');
  await desk.online();
  const key: GroupKey = `g${group.id as ConversationId}`;
  client.open(key);
  await time.pass(1000);
  const delay = later(app, time);
  client.hide();
  client.show();
  await desk.online();
  server.leave(group, ME);
  await time.pass(1000);
  assert.equal(client.conversation(key)?.left, true);
  server.recall(group.chats.find(({ content }) => content === 'a secret')!);
  delay.ms = 3000;
  server.join(group, [ME]);
  for (let count = 0; count < 10; count += 1) server.say(3, group.id, `${count}`, `${count}`);
  await Promise.all([client.refreshConversations(), time.pass(10_000)]);
  while (client.chats(key).hasMore) await Promise.all([client.loadOlder(key), time.pass(1000)]);
  assert.ok(client.chats(key).items.every(({ content }) => content !== 'a secret'));
  assert.equal(client.chats(key).items.filter(({ recalled }) => recalled).length, 1);
});

test('a chat that is recalled while the first page of the list is on its way does not count', async () => {
  const desk = new Desk();
  const { server, client, time, app } = desk;
  for (const content of ['one', 'two']) server.store(LI, ME, content, content);
  const request = app.request.bind(app);
  app.request = async (one) => {
    const answer = await request(one);
    if (one.url.includes('/v1/conversations?limit')) {
      await new Promise<void>((resolve) => {
        time.after(5000, resolve);
      });
    }
    return answer;
  };
  await time.pass(3000);
  assert.equal(client.conversations().length, 0);
  server.recall(server.conversation(ME, LI)!.chats[1]!);
  await time.pass(10_000);
  const [row] = client.conversations();
  assert.deepEqual([row?.unread, row?.lastChat?.recalled], [1, true]);
});
