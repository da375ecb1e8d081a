// A walk through every page and every state of a page, with a stop at each.

import { randomUUID } from 'node:crypto';

import { wav } from '../../web/runtime/wx/wav';
import { en } from '../../miniprogram/imkit/texts/en';
import { zh } from '../../miniprogram/imkit/texts/zh';
import { inAnyPart } from '../selectors';
import { DESKTOP, type Phone } from './phone';
import type { Person, Server } from './server';
import type { World } from './world';

export interface Look {
  readonly viewport?: { width: number; height: number };
  readonly dark?: boolean;
  readonly locale?: string;
}

/** What is done at each stop, which has a name. */
export type Visit = (of: Phone, stop: string) => Promise<void>;

/** A picture of 1 × 1 pixel that is drawn large. */
const PIXEL = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==',
  'base64',
);

const FILES: Readonly<Record<string, () => Blob>> = {
  image: () => new Blob([PIXEL]),
  voice: () => wav(new Float32Array(32_000)),
  file: () => new Blob(['words'.repeat(500)]),
};

/** Uploads something of this kind. Returns its id. */
export async function upload(server: Server, of: Person, kind: 'image' | 'voice' | 'file', name: string): Promise<string> {
  const form = new FormData();
  form.append('kind', kind);
  form.append('file', FILES[kind]?.() ?? new Blob(), name);
  const headers = { authorization: `Bearer ${of.token}` };
  const answer = await fetch(`${server.url}/v1/media`, { method: 'POST', headers, body: form });
  if (!answer.ok) throw new Error(`the upload of ${name} answered ${answer.status}`);
  return ((await answer.json()) as { mediaId: string }).mediaId;
}

interface Sent {
  readonly chat: { readonly id: number };
}

/** What 张三's phone shows: conversations with something of each kind. 钱八 refuses to hear from 张三. */
async function fill(server: Server, of: (name: string) => string): Promise<void> {
  const me = await server.person(of('张三'));
  const [friend, mother, refuser] = await Promise.all(
    ['李四', '妈妈', '钱八'].map((each) => server.person(of(each))),
  );
  if (!friend || !mother || !refuser) throw new Error('nobody is there');
  const send = (from: Person, to: object, chat: object) =>
    server.post('/v1/chats', { clientMsgId: randomUUID(), ...to, ...chat }, from.token) as Promise<Sent>;
  const toMe = { targetUserId: me.id };
  const toFriend = { targetUserId: friend.id };

  for (const content of ['早点睡', '吃饭了没有', '👍']) await mother.send(me.id, content);
  await refuser.send(me.id, '别再找我了');
  await fetch(`${server.url}/v1/blocks/${me.id}`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${refuser.token}` },
  });

  await send(friend, toMe, { content: '昨天说的方案我看完了，整体没问题，就是发布时间能不能往后推一周？' });
  const { chat } = await send(me, toFriend, { content: '可以 😄' });
  await send(friend, toMe, { content: '谢谢', replyTo: chat.id });
  const wrong = await send(me, toFriend, { content: '发错了' });
  await server.post(`/v1/chats/${wrong.chat.id}/recall`, {}, me.token);
  for (const [from, to] of [
    [friend, toMe],
    [me, toFriend],
  ] as const) {
    await send(from, to, { content: '看 https://example.com/a ，打 13812345678，写 li@example.com' });
    for (const [kind, file] of [
      ['image', 'a.png'],
      ['voice', 'a.wav'],
      ['file', '年度报告.txt'],
    ] as const) {
      await send(from, to, { kind, body: { mediaId: await upload(server, from, kind, file) } });
    }
    const body = { title: '订单 2026-001', description: '两杯咖啡，下午三点取', path: 'pages/find/find' };
    await send(from, to, { kind: 'card', body });
  }

  const made = (await server.post(
    '/v1/conversations',
    { kind: 'group', key: randomUUID(), title: of('爬山群'), userIds: [friend.id, mother.id] },
    me.token,
  )) as { id: number };
  const toGroup = { conversationId: made.id };
  await send(friend, toGroup, { content: `@${of('张三')} 周六去吗`, mentions: [me.id] });
}

/** Visits everything with the phone of somebody new. */
export async function tour({ server, phone }: World, look: Look, visit: Visit): Promise<void> {
  const isEnglish = look.locale?.startsWith('en') ?? false;
  const say = isEnglish ? en : zh;
  const mark = `${isEnglish ? 'e' : 'c'}${look.dark ? 'd' : 'l'}${look.viewport?.width === DESKTOP.width ? 'w' : ''}`;
  // People have names, and each tour has people of its own.
  const named = (name: string) => `${name}·${mark}`;
  const [name, group, refuser] = [named('张三'), named('爬山群'), named('钱八')];
  const of = await phone(look);
  const { page } = of;
  const at = (stop: string) => visit(of, stop);
  const button = (text: string) => of.screen.locator('[role=button]', { hasText: text }).filter({ visible: true }).first();
  const sheet = (text: string) => page.locator('.mp-sheet button', { hasText: text });
  const escape = async (what: string) => {
    await page.keyboard.press('Escape');
    await page.locator(what).waitFor({ state: 'detached' });
  };
  const icon = (which: string) => of.screen.locator(`composer .${which}`).click();
  const menu = async (words: string) => {
    await of.bubble(words).last().locator('.bubble').click({ button: 'right', position: { x: 12, y: 12 } });
    await of.screen.locator('.panel.placed').waitFor();
  };
  const choose = async (words: string, action: string) => {
    await menu(words);
    await of.screen.locator('.choice', { hasText: action }).first().click();
  };
  /** A conversation: its name is in previews, too. */
  const row = (title: string) => of.screen.locator('.row').filter({ has: page.locator(inAnyPart('.name'), { hasText: title }) });
  const open = async (title: string) => {
    await row(title).click();
    await of.inChatWith(title);
  };
  const tab = (index: number) => page.locator('.mp-tabs button').nth(index).click();

  // Signing in, and the list
  await of.screen.locator('.field input').waitFor();
  await at('sign-in');
  await of.signIn(name);
  await of.screen.locator('.empty').waitFor();
  await at('list-empty');
  await fill(server, named);
  await row(group).waitFor();
  await at('list');
  await row(refuser).click({ button: 'right' });
  await sheet(say.list.pin).waitFor();
  await at('list-menu');
  await sheet(say.list.pin).click();
  await of.screen.locator('.row.pinned').waitFor();
  await row(named('妈妈')).click({ button: 'right' });
  await sheet(say.list.mute).click();
  await row(named('妈妈')).locator('.mute').waitFor();
  const box = await row(named('妈妈')).boundingBox();
  if (!box) throw new Error('there is no row to swipe');
  const y = box.y + box.height / 2;
  await page.mouse.move(box.x + 300, y);
  await page.mouse.down();
  for (const x of [280, 240, 200]) await page.mouse.move(box.x + x, y);
  await page.mouse.up();
  await of.screen.locator('.action').first().waitFor();
  await at('list-swiped');

  // A chat with everything
  await page.reload();
  await row(named('李四')).click();
  await of.screen.locator('bubble-card .card').last().waitFor();
  await at('chat-media');
  await of.list.evaluate((element) => {
    element.scrollTop = 0;
  });
  await of.screen.locator('.time').first().waitFor();
  await at('chat-words');
  await menu('可以 😄');
  await at('chat-menu');
  await escape(inAnyPart('.choice'));
  await of.screen.locator('.phone').first().click();
  await sheet('13812345678').first().waitFor();
  await at('chat-phone');
  await escape('.mp-sheet');
  await choose('可以 😄', say.menu.actions.quote);
  await of.screen.locator('composer .quote').waitFor();
  await of.field.fill('字'.repeat(2003));
  await of.screen.locator('composer .count').waitFor();
  await at('chat-quote-and-count');
  await of.field.fill('');
  await of.screen.locator('.unquote').click();
  await icon('smile');
  await of.screen.locator('emoji-panel').waitFor();
  await at('chat-emoji');
  await icon('plus');
  await of.screen.locator('attach-panel').waitFor();
  await at('chat-attach');
  await icon('mic');
  await of.screen.locator('voice-button').waitFor();
  await at('chat-voice');
  await icon('first');
  await choose('可以 😄', say.menu.actions.pick);
  await of.screen.locator('.picks').waitFor();
  await at('chat-pick');
  await escape(inAnyPart('.picks'));
  await choose('可以 😄', say.menu.actions.forward);
  await of.screen.locator('pick-sheet .row').first().waitFor();
  await at('chat-forward');
  await of.screen.locator('pick-sheet .row').first().click();
  await page.locator('.mp-modal').waitFor();
  await at('chat-forward-question');
  await escape('.mp-modal');
  await escape(inAnyPart('pick-sheet .sheet'));
  await of.screen.locator('bubble-image .picture').first().click();
  await page.locator('.mp-preview img').waitFor();
  await at('preview');
  await escape('.mp-preview');

  // What belongs to one person
  await of.screen.locator('.info').click();
  await of.screen.locator('im-direct .tile').first().waitFor();
  await at('direct');
  await button(say.info.clear).click();
  await page.locator('.mp-modal').waitFor();
  await at('direct-question');
  await escape('.mp-modal');
  await of.screen.locator('im-direct .tile').first().click();
  await of.screen.locator('im-profile .title').waitFor();
  await at('person');
  await button(say.person.report).click();
  await page.locator('.mp-sheet').waitFor();
  await at('person-report');
  await escape('.mp-sheet');
  await of.screen.locator('wx-switch').click();
  await page.locator('.mp-confirm').click();
  await of.screen.locator('wx-switch[aria-checked=true]').waitFor();
  for (let back = 0; back < 3; back++) await of.back();

  // Failed
  await open(refuser);
  await of.send('还在吗');
  await of.screen.locator('.reason').waitFor();
  await at('chat-failed');
  await of.screen.locator('.failed').click();
  await of.screen.locator('.panel.placed').waitFor();
  await at('chat-failed-menu');
  await escape(inAnyPart('.choice'));
  await of.back();

  // A group
  await open(group);
  await of.sees('周六去吗');
  await at('group-chat');
  await of.field.pressSequentially('@');
  await of.screen.locator('pick-sheet .row').first().waitFor();
  await at('group-mention');
  await escape(inAnyPart('pick-sheet .sheet'));
  await of.field.fill('');
  await of.screen.locator('.info').click();
  await of.screen.locator('im-group .tile').first().waitFor();
  await at('group');
  await button(say.info.name).click();
  await page.locator('.mp-modal input').waitFor();
  await at('group-rename');
  await escape('.mp-modal');
  await of.screen.locator('im-group .tile').last().click();
  await of.screen.locator('.mode-done').waitFor();
  await at('group-remove');
  await of.screen.locator('.mode-done').click();
  await of.screen.locator('.tile', { hasText: say.info.add }).click();
  await of.screen.locator('im-people-picker .row').first().waitFor();
  await of.screen.locator('im-people-picker .row').first().click();
  await at('pick');
  for (let back = 0; back < 3; back++) await of.back();

  // Finding
  await of.screen.locator('.start').click();
  await of.screen.locator('.search input').waitFor();
  await at('find');
  await of.screen.locator('.search input').fill(name.slice(0, 3));
  await of.screen.locator('.row').first().waitFor();
  await at('find-some');
  await of.screen.locator('.search input').fill('没有这个人');
  await of.screen.locator('.hint').waitFor();
  await at('find-none');
  await of.back();

  // Oneself
  await tab(1);
  await of.screen.locator('profile input').waitFor();
  await at('me');
  await of.screen.locator('.row', { hasText: say.person.blocks }).click();
  await of.screen.locator('im-blocked .person').waitFor();
  await at('blocked');
  await of.screen.locator('.unblock').click();
  await of.screen.locator('.hint').waitFor();
  await at('blocked-none');
  await of.back();
  await of.screen.locator('.sign-out').click();
  await page.locator('.mp-modal').waitFor();
  await at('sign-out');
  await escape('.mp-modal');

  // No network
  await tab(0);
  await page.context().setOffline(true);
  await of.screen.locator('connection-bar .bar').waitFor();
  await at('list-offline');
  await open(group);
  await of.send('这条还没有发出去');
  await of.bubble('这条还没有发出去').locator('.waiting').waitFor();
  await at('chat-offline');
  await page.context().setOffline(false);

  // WeChat's gate
  const like = await phone(look, '/?like=wechat');
  await like.signIn(`${name} 微信`);
  await like.page.locator('.mp-tabs button').nth(1).click();
  await like.screen.locator('profile .picture').click();
  await like.screen.locator('privacy .sheet').waitFor();
  await visit(like, 'privacy');
}
