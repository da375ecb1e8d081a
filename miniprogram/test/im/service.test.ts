// The client under Node against the real service, over real sockets.

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import type { ImClient, Session } from '../../miniprogram/imkit/core/index';
import { core } from './core';
import { nodePlatform } from './node';
import { eventually, Service } from './service';

const { createClient, loginDemo } = core;

let service: Service;
before(async () => {
  service = await Service.start();
});
after(() => service.remove());

interface Person {
  readonly client: ImClient;
  readonly session: Session;
  readonly storage: Map<string, string>;
  readonly name: string;
}

async function signIn(name: string): Promise<Person> {
  return launch(name, await loginDemo(nodePlatform(), service.url, name), new Map());
}

function launch(name: string, session: Session, storage: Map<string, string>): Person {
  const platform = nodePlatform(storage);
  const login = () => loginDemo(platform, service.url, name);
  const client = createClient({ server: service.url, platform, session, login });
  client.start();
  return { client, session, storage, name };
}

function contents({ client }: Person, { session }: Person): string[] {
  return client.chats(session.user.id).items.filter(({ status }) => status === 'sent').map(({ content }) => content);
}

test('two people talk while the service is killed and comes back', { timeout: 600_000 }, async (t) => {
  const zhang = await signIn('张三');
  const li = await signIn('李四');
  t.after(() => {
    zhang.client.stop();
    li.client.stop();
  });
  zhang.client.open(li.session.user.id);
  li.client.open(zhang.session.user.id);
  await eventually('both are online', () => [zhang, li].every(({ client }) => client.connection.phase === 'online'));

  const said: string[] = [];
  const say = (from: Person, to: Person, content: string) => {
    said.push(content);
    assert.equal(from.client.send(to.session.user.id, content).ok, true);
  };
  const agreed = () =>
    eventually('both show the same', () => {
      assert.deepEqual(contents(zhang, li), contents(li, zhang));
      assert.deepEqual([...contents(zhang, li)].sort(), [...said].sort());
      return true;
    });

  say(zhang, li, '你好');
  await agreed();
  say(li, zhang, '在的 😀');
  await agreed();
  assert.deepEqual(contents(zhang, li), ['你好', '在的 😀']);

  await service.crash();
  for (const number of [1, 2, 3]) {
    say(zhang, li, `张三 ${number}`);
    say(li, zhang, `李四 ${number}`);
  }
  await eventually('both see that the service is away', () =>
    [zhang, li].every(({ client }) => client.connection.phase !== 'online'),
  );
  await service.up();
  await agreed();
  const shown = contents(zhang, li);
  for (const name of ['张三', '李四']) {
    assert.deepEqual(shown.filter((content) => content.startsWith(name)), [1, 2, 3].map((number) => `${name} ${number}`));
  }

  li.client.markRead(zhang.session.user.id);
  await eventually('the one who wrote sees that it was read', () =>
    zhang.client.chats(li.session.user.id).items.every(({ mine, read }) => !mine || read),
  );
});

test('a chat that was written without a service survives the app', { timeout: 600_000 }, async (t) => {
  const reader = await signIn('王五');
  const writer = await signIn('赵六');
  t.after(() => {
    reader.client.stop();
  });
  reader.client.open(writer.session.user.id);
  await eventually('the writer is online', () => writer.client.connection.phase === 'online');
  await service.crash();
  assert.equal(writer.client.send(reader.session.user.id, '还在吗').ok, true);
  // Killed: only its storage remains.
  writer.client.stop();
  await service.up();
  const again = launch(writer.name, writer.session, writer.storage);
  t.after(() => {
    again.client.stop();
  });
  await eventually('it has arrived', () => contents(reader, writer).includes('还在吗'));
  assert.deepEqual(contents(reader, writer), ['还在吗']);
});

test('a session that was revoked is followed by a login', { timeout: 600_000 }, async (t) => {
  const person = await signIn('孙七');
  t.after(() => {
    person.client.stop();
  });
  const sessions: Session[] = [];
  person.client.subscribe(({ session }) => {
    if (session) sessions.push(session);
  });
  await eventually('online', () => person.client.connection.phase === 'online');
  const { token } = person.session;
  await fetch(`${service.url}/v1/logout`, { method: 'POST', headers: { Authorization: `Bearer ${token}` } });
  await eventually('online again with another token', () => sessions.length > 0 && person.client.connection.phase === 'online');
  assert.notEqual(sessions[0]?.token, token);
});

test('a group with a picture, a quote, a recall and a deletion looks the same to all', { timeout: 600_000 }, async (t) => {
  const zhang = await signIn('周八');
  const li = await signIn('吴九');
  const folder = await mkdtemp(join(tmpdir(), 'im-picture-'));
  t.after(async () => {
    zhang.client.stop();
    li.client.stop();
    await rm(folder, { recursive: true, force: true });
  });
  await eventually('both are online', () => [zhang, li].every(({ client }) => client.connection.phase === 'online'));
  const key = await zhang.client.createGroup({ title: '爬山', userIds: [li.session.user.id] });
  for (const { client } of [zhang, li]) client.open(key);
  await eventually('the group is in the list of the other', () => li.client.conversation(key)?.title === '爬山');

  const file = join(folder, 'dot.png');
  await writeFile(file, DOT);
  zhang.client.send(key, { kind: 'image', content: '[图片]', file });
  zhang.client.send(key, { content: '哪里?', mentions: 'all' });
  const shown = ({ client }: Person) => client.chats(key).items.filter(({ kind, status }) => kind !== 'system' && status === 'sent');
  await eventually('the picture and the words after it have arrived', () => shown(li).length === 2 && shown(zhang).length === 2);
  const [picture, words] = shown(li);
  assert.deepEqual([picture?.kind, picture?.content, picture?.body?.width], ['image', '[图片]', 1]);
  assert.equal((await fetch(picture!.body!.url!)).status, 200);
  assert.equal(li.client.conversation(key)?.mentioned, true);
  assert.equal(li.client.unreadTotal, 2);

  const { id, userId, userName, kind, content } = words!;
  li.client.send(key, { content: '山上', replyTo: { id: id!, userId, userName, kind, content, state: null } });
  await eventually('the quote has arrived', () => shown(zhang)[2]?.replyTo?.content === '哪里?');
  await zhang.client.recall(id!);
  await eventually('nobody sees the words, in the quote neither', () =>
    [zhang, li].every((one) => shown(one)[1]?.recalled === true && shown(one)[2]?.replyTo?.content === ''));
  await li.client.remove(picture!.id!);
  await eventually('one does not see it any more', () => shown(li).length === 2);
  assert.equal(shown(zhang).length, 3);

  await li.client.set(key, { pinned: true, muted: true, draft: '回头' });
  await eventually('the settings are there', () => li.client.conversation(key)?.draft === '回头');
  assert.equal(li.client.unreadTotal, 0);
  await li.client.hideConversation(key);
  await eventually('it is hidden', () => li.client.conversations().every((one) => one.key !== key));
  zhang.client.send(key, '走吧');
  await eventually('it is back', () => li.client.conversations()[0]?.key === key);
  await li.client.removeMember(key, li.session.user.id);
  await eventually('it is left', () => li.client.conversation(key)?.left === true);
});

/** A PNG of one pixel. */
const DOT = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==', 'base64');
