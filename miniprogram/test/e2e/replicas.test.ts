// Two replicas that die: while two people write, while a group talks, while a picture goes up.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { eventually, launch, Phone } from './phone';
import { draws, put } from './pictures';
import { Stack } from './stack';

/** Two replicas and a browser, for one test. */
async function start() {
  const [stack, browser] = await Promise.all([Stack.up(2), launch()]);
  after(async () => {
    await browser.close();
    await stack.down();
  });
  return { stack, browser };
}

test('a replica dies during a conversation, and both pages show every chat once and in order', async () => {
  const { stack, browser } = await start();
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

  stack.kill(stack.replicas[ofZhang]!.name);
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

test('each replica dies while a group talks, and all three show every chat once and in the same order', async () => {
  const { stack, browser } = await start();
  const names = ['张三', '李四', '王五'];
  const phones: Phone[] = [];
  for (const name of names) {
    const phone = await Phone.open(browser, `${stack.url}/`);
    await phone.signIn(name);
    phones.push(phone);
  }
  const [zhang, li, wang] = phones as [Phone, Phone, Phone];
  await zhang.makeGroup('李四', '王五');
  await zhang.send('0');
  for (const of of [li, wang]) {
    await of.openChat('群聊(3)');
    await of.sees('0');
  }
  let said = 1;
  const talk = async () => {
    for (const of of phones) await of.send(String(said++));
  };
  for (const { name } of stack.replicas) {
    stack.kill(name);
    await talk();
    await talk();
    await stack.start(name);
    await talk();
  }
  await eventually('all show every chat', async () => {
    const shown = await Promise.all(phones.map((of) => of.texts()));
    return shown.every((texts) => texts.length >= said && texts.join() === shown[0]?.join());
  });
  const shown = await zhang.texts();
  assert.deepEqual([...shown].sort(), Array.from({ length: said }, (_, number) => String(number)).sort(), 'each once');
  for (const place of phones.keys()) {
    const own = shown.filter((text) => (Number(text) - 1) % phones.length === place && text !== '0').map(Number);
    assert.deepEqual(own, [...own].sort((a, b) => a - b), `${names[place]} in the order of writing`);
  }
});

test('each replica dies while a picture goes up, and it arrives once', async () => {
  const { stack, browser } = await start();
  const [zhang, li] = [await Phone.open(browser, `${stack.url}/`), await Phone.open(browser, `${stack.url}/`)];
  await zhang.signIn('张三');
  await li.signIn('李四');
  await zhang.find('李四');
  await zhang.send('看');
  await li.openChat('张三');
  await li.sees('看');
  // A slow network, and a picture that cannot be made small: so it is still going up when a replica dies.
  const slow = await zhang.page.context().newCDPSession(zhang.page);
  await slow.send('Network.enable');
  const upload = (bytesPerSecond: number) =>
    slow.send('Network.emulateNetworkConditions', {
      offline: false,
      latency: 0,
      downloadThroughput: -1,
      uploadThroughput: bytesPerSecond,
    });
  let uploads = 0;
  let answers = 0;
  zhang.page.on('request', (request) => (uploads += request.url().endsWith('/v1/media') && request.method() === 'POST' ? 1 : 0));
  zhang.page.on('response', (response) => (answers += response.url().endsWith('/v1/media') && response.ok() ? 1 : 0));
  await upload(20_000);
  await put(zhang, 'paste', await noise(zhang));
  await zhang.screen.locator('bubble-image .progress').waitFor();
  // One of them has the upload, and it goes to the other one then.
  for (const { name } of stack.replicas) {
    await eventually('it goes up', () => Promise.resolve(uploads > 0));
    assert.equal(answers, 0, 'it is still going up');
    stack.kill(name);
    await stack.start(name);
  }
  // A browser hears that it has failed when it has sent all of it.
  await upload(-1);
  await eventually('it goes up again', () => Promise.resolve(uploads > 1));
  await draws(zhang, 1);
  await draws(li, 1);
  await zhang.send('看到了吗');
  await li.sees('看到了吗');
  assert.equal(await li.screen.locator('bubble-image').count(), 1, 'once');
  assert.equal(await zhang.screen.locator('bubble-image').count(), 1, 'once');
});

/** A picture in which nothing repeats, of some 400 KB however it is encoded. */
async function noise(of: Phone): Promise<Buffer> {
  const url = await of.page.evaluate(() => {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [800, 800];
    const drawing = canvas.getContext('2d')!;
    const pixels = drawing.createImageData(800, 800);
    for (let at = 0; at < pixels.data.length; at += 65_536) crypto.getRandomValues(pixels.data.subarray(at, at + 65_536));
    for (let at = 3; at < pixels.data.length; at += 4) pixels.data[at] = 255;
    drawing.putImageData(pixels, 0, 0);
    return canvas.toDataURL('image/png');
  });
  return Buffer.from(url.split(',')[1] ?? '', 'base64');
}
