// Two replicas: the replica of one user dies while both write, and a phone loses its network.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { eventually, launch, Phone } from './phone';
import { Stack } from './stack';

test('a replica dies during a conversation, and both pages show every chat once and in order', async () => {
  const [stack, browser] = await Promise.all([Stack.up(2), launch()]);
  after(async () => {
    await browser.close();
    await stack.down();
  });
  const zhang = await Phone.open(browser, `${stack.url}/`);
  await zhang.signIn('张三');
  await eventually('a replica has 张三', async () => (await stack.sockets()).includes(1));
  const ofZhang = (await stack.sockets()).indexOf(1);
  const li = await Phone.open(browser, `${stack.url}/`);
  await li.signIn('李四');
  await eventually('the other has 李四', async () => (await stack.sockets()).every((count) => count === 1));

  await zhang.find('李四');
  await zhang.send('张0');
  await li.openChat('张三');
  await li.sees('张0');
  await li.send('李0');
  await zhang.sees('李0');
  for (const of of [zhang, li]) await of.screen.locator('.presence', { hasText: '在线' }).waitFor();

  const dying = stack.replicas[ofZhang]!;
  process.kill(dying.pid, 'SIGKILL');
  const said = { 张: ['张0'], 李: ['李0'] };
  const say = async (who: '张' | '李') => {
    const text = `${who}${said[who].length}`;
    said[who].push(text);
    await (who === '张' ? zhang : li).send(text);
  };
  for (const who of ['张', '李', '张', '李'] as const) await say(who);

  // A phone without a network says so, and keeps the chats that are written.
  await zhang.page.context().setOffline(true);
  await zhang.screen.locator('connection-bar', { hasText: '网络' }).waitFor();
  for (const who of ['张', '张', '李'] as const) await say(who);
  await zhang.bubble(said.张.at(-1)!).locator('.spinner').waitFor();
  await zhang.page.context().setOffline(false);

  const all = [...said.张, ...said.李].sort();
  await eventually('both pages show every chat', async () => {
    const [left, right] = [await zhang.texts(), await li.texts()];
    return left.length >= all.length && right.length >= all.length && left.join() === right.join();
  });
  const shown = await zhang.texts();
  assert.deepEqual([...shown].sort(), all, 'each once');
  for (const who of ['张', '李'] as const) {
    assert.deepEqual(shown.filter((text) => text.startsWith(who)), said[who], 'in the order of writing');
  }

  // And they continue to talk.
  await zhang.send('还在吗');
  await li.sees('还在吗');
  await li.send('在');
  await zhang.sees('在');
  await zhang.noted('还在吗', '已读');
  for (const of of [zhang, li]) {
    await of.screen.locator('.presence', { hasText: '在线' }).waitFor();
    await of.screen.locator('connection-bar [role="status"]').waitFor({ state: 'detached' });
  }
  assert.equal((await stack.sockets())[ofZhang], null, 'it is dead');
});
