// Two people send each other pictures, voices, files and cards.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, afterEach, test } from 'node:test';

import { eventually, launch, Phone } from './phone';
import { choose, draws, images, png, put } from './pictures';
import { Server } from './server';

const [server, browser] = await Promise.all([
  Server.start(),
  launch('--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'),
]);
after(async () => {
  await browser.close();
  await server.end();
});
const open: Phone[] = [];
afterEach(() => Promise.all(open.splice(0).map((phone) => phone.close())));

type Look = Parameters<typeof Phone.open>[2];

async function phone(name: string, look?: Look): Promise<Phone> {
  const opened = await Phone.open(browser, server.url, look);
  open.push(opened);
  await opened.signIn(name);
  return opened;
}

/** Two people with a chat that is open at both. Each test has others, so that no chats are there yet. */
async function pair(names: [string, string], look?: Look): Promise<[Phone, Phone]> {
  const [one, two] = [await phone(names[0], look), await phone(names[1])];
  await one.find(names[1]);
  await one.send('开始');
  await two.openChat(names[0]);
  await two.sees('开始');
  return [one, two];
}

/** A picture of this size. */
async function picture(of: Phone, width: number, height: number): Promise<Buffer> {
  const url = await of.page.evaluate(
    ([wide, high]) => {
      const canvas = document.createElement('canvas');
      [canvas.width, canvas.height] = [wide, high];
      const drawing = canvas.getContext('2d');
      const colours = drawing?.createLinearGradient(0, 0, wide, high);
      colours?.addColorStop(0, '#3b7');
      colours?.addColorStop(1, '#26c');
      if (drawing && colours) drawing.fillStyle = colours;
      drawing?.fillRect(0, 0, wide, high);
      return canvas.toDataURL('image/png');
    },
    [width, height] as const,
  );
  return Buffer.from(url.split(',')[1] ?? '', 'base64');
}

test('pictures are chosen, pasted and dropped, and seen one after the other', async () => {
  const [zhang, li] = await pair(['张三', '李四']);
  await choose(zhang, '相册', [png(await picture(zhang, 3000, 1500)), png(await picture(zhang, 300, 900), 'b.png')]);
  await draws(zhang, 2);
  await draws(li, 2);
  // It was made smaller on the phone, and has its proportions in the bubble.
  const size = await images(li).first().evaluate((image) => {
    const { naturalWidth, naturalHeight } = image as HTMLImageElement;
    const { width, height } = image.getBoundingClientRect();
    return { natural: naturalWidth / naturalHeight, shown: width / height };
  });
  assert.deepEqual([size.natural.toFixed(1), size.shown.toFixed(1)], ['2.0', '2.0']);
  await put(zhang, 'paste', await picture(zhang, 200, 200));
  await draws(li, 3);
  await put(zhang, 'drop', await picture(zhang, 400, 300));
  await draws(li, 4);
  await zhang.shoot('media-pictures');

  await images(li).nth(1).click();
  const count = li.page.locator('.mp-preview-count');
  await li.page.locator('.mp-preview-count', { hasText: '2 / 4' }).waitFor();
  await li.page.keyboard.press('ArrowRight');
  assert.equal(await count.textContent(), '3 / 4');
  await li.page.locator('.mp-preview-previous').click();
  await li.page.locator('.mp-preview-previous').click();
  assert.equal(await count.textContent(), '1 / 4');
  await eventually('the whole picture is there', () =>
    li.page.locator('.mp-preview img').evaluate((image) => (image as HTMLImageElement).naturalWidth === 2048),
  );
  await li.shoot('media-preview');
  const download = li.page.waitForEvent('download');
  await li.page.locator('.mp-preview-save').click();
  assert.match((await download).suggestedFilename(), /\.jpg$/);
  await li.page.keyboard.press('Escape');
  await count.waitFor({ state: 'detached' });
  zhang.assertQuiet();
  li.assertQuiet();
});

test('a picture is seen by whoever calls the machine by another name', async () => {
  const zhang = await phone('秦五');
  const li = await Phone.open(browser, server.url.replace('127.0.0.1', 'localhost'));
  open.push(li);
  await li.signIn('尤六');
  await zhang.find('尤六');
  await put(zhang, 'paste', await picture(zhang, 200, 200));
  await li.row('秦五').click();
  await draws(li, 1);
  li.assertQuiet();
});

test('a picture that the service refuses can be sent again', async () => {
  const [zhang, li] = await pair(['王五', '赵六']);
  let answer: () => void = () => undefined;
  const asked = new Promise<void>((resolve) => {
    answer = resolve;
  });
  await zhang.page.route('**/v1/media', async (route) => {
    await asked;
    await route.fulfill({ status: 415, json: { code: 'unsupported_media' } });
  });
  await choose(zhang, '相册', [png(await picture(zhang, 300, 200))]);
  await draws(zhang, 1);
  await zhang.screen.locator('bubble-image .progress').waitFor();
  await zhang.shoot('media-progress');
  answer();
  await zhang.screen.locator('.reason', { hasText: '不支持这种格式' }).waitFor();
  await zhang.shoot('media-failed');
  await zhang.page.unroute('**/v1/media');
  await zhang.screen.locator('.failed').click();
  await zhang.screen.locator('.choice', { hasText: '重发' }).click();
  await draws(li, 1);
  assert.equal(await zhang.screen.locator('.failed').count(), 0);
  li.assertQuiet();
});

test('a file above what one may upload in a day is offered once', async () => {
  const [zhang] = await pair(['卫三', '蒋四']);
  let offered = 0;
  await zhang.page.route('**/v1/media', async (route) => {
    offered += 1;
    await route.fulfill({ status: 429, headers: { 'Retry-After': '8000' }, json: { code: 'rate_limited' } });
  });
  await choose(zhang, '相册', [png(await picture(zhang, 300, 200))]);
  await zhang.screen.locator('.reason', { hasText: '太频繁了' }).waitFor();
  assert.equal(offered, 1);
});

test('a picture that is chosen while the service is away survives a reload', async () => {
  const [zhang, li] = await pair(['孙七', '周八']);
  await server.kill();
  await choose(zhang, '相册', [png(await picture(zhang, 300, 200))]);
  await draws(zhang, 1);
  await server.start();
  await zhang.page.route('**/v1/media', (route) => route.abort());
  await zhang.page.reload();
  await draws(zhang, 1);
  await zhang.page.unroute('**/v1/media');
  await draws(li, 1);
});

test('a voice is recorded while a button is held, and heard by the other', async () => {
  const [zhang, li] = await pair(['吴九', '郑十']);
  await zhang.screen.locator('composer .mic').click();
  const button = zhang.screen.locator('voice-button .hold');
  const box = await button.boundingBox();
  assert.ok(box);
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  const hold = async (seconds: RegExp, shot?: string) => {
    await zhang.page.mouse.move(x, y);
    await zhang.page.mouse.down();
    await zhang.screen.locator('voice-button .balloon', { hasText: seconds }).waitFor();
    if (shot !== undefined) await zhang.shoot(shot);
  };
  await zhang.page.mouse.move(x, y);
  await zhang.page.mouse.down();
  await zhang.page.mouse.up();
  await zhang.toasted('说话时间太短');
  await hold(/[1-9]″/);
  await zhang.page.mouse.move(x, y - 120);
  await zhang.screen.locator('voice-button .cancel').waitFor();
  await zhang.shoot('media-voice-cancel');
  await zhang.page.mouse.up();
  await zhang.screen.locator('voice-button .balloon').waitFor({ state: 'detached' });

  for (const shot of ['media-voice-hold', undefined]) {
    await hold(/[2-9]″/, shot);
    await zhang.page.mouse.up();
    await zhang.screen.locator('voice-button .balloon').waitFor({ state: 'detached' });
  }
  const dots = li.screen.locator('bubble-voice .dot');
  await eventually('li has two new voices', async () => (await dots.count()) === 2);
  await zhang.shoot('media-voice');
  const voices = li.screen.locator('bubble-voice .voice');
  assert.equal(await voices.count(), 2, 'neither the short one nor the cancelled one was sent');
  assert.match((await voices.first().textContent()) ?? '', /[23]″/);
  await voices.first().click();
  await voices.first().locator('.playing').waitFor();
  // The next one plays by itself; then it is quiet.
  await voices.nth(1).locator('.playing').waitFor();
  assert.equal(await dots.count(), 0);
  await voices.nth(1).locator('.playing').waitFor({ state: 'detached' });
  await li.page.reload();
  await voices.first().waitFor();
  assert.equal(await dots.count(), 0, 'the phone remembers what was heard');
  zhang.assertQuiet();
  li.assertQuiet();
});

test('files have a name and a size, and cards open a page', async () => {
  const [zhang, li] = await pair(['冯一', '陈二'], { dark: true });
  const buffer = Buffer.from('%PDF-1.4 '.padEnd(3000, 'x'));
  await choose(zhang, '文件', [{ name: '年度 报告.pdf', mimeType: 'application/pdf', buffer }]);
  const file = li.screen.locator('bubble-file .file');
  await file.waitFor();
  assert.match((await file.textContent()) ?? '', /年度 报告\.pdf.*3 KB/);
  const download = li.page.waitForEvent('download');
  await file.click();
  assert.equal((await download).suggestedFilename(), '年度 报告.pdf');

  const [seller, buyer] = [await server.person('冯一'), await server.person('陈二')];
  const body = { title: '订单 2026-001', description: '两杯咖啡，下午三点取', path: 'pages/find/find' };
  const chat = { clientMsgId: randomUUID(), targetUserId: buyer.id, kind: 'card', body };
  await server.post('/v1/chats', chat, seller.token);
  const card = li.screen.locator('bubble-card .card', { hasText: '订单 2026-001' });
  await card.waitFor();
  await zhang.screen.locator('bubble-card .card').waitFor();
  await zhang.shoot('media-files-dark');
  await li.shoot('media-files');
  await card.click();
  await li.page.locator('wx-page[is="pages/find/find"]').waitFor();
  zhang.assertQuiet();
  li.assertQuiet();
});
