// What can be done to a bubble: its menu, forwarding, mentions, and what can be tapped in its words.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { place } from '../../miniprogram/imkit/components/bubble-menu/place';
import { forwardable } from '../../miniprogram/imkit/components/im-chat/forward';
import { isCall, mentionsIn } from '../../miniprogram/imkit/components/im-chat/mentions';
import { actionsOf } from '../../miniprogram/imkit/components/im-chat/actions';
import { quoteOf } from '../../miniprogram/imkit/components/im-chat/quote';
import { EDIT_MS, remember, wordsOf } from '../../miniprogram/imkit/components/im-chat/recall';
import { isUnread } from '../../miniprogram/imkit/components/im-chat/unread';
import type { ChatId, ChatItem, UserId } from '../../miniprogram/imkit/core/index';
import { partsOf } from '../../miniprogram/imkit/lists/links';

const NOW = Date.UTC(2026, 10, 20, 4, 0);
const ME = 1 as UserId;
const LI = 2 as UserId;

function item(more: Partial<ChatItem>): ChatItem {
  const mine = more.mine ?? true;
  return {
    key: 'o1',
    id: 7 as ChatId,
    mine,
    userId: mine ? ME : LI,
    userName: mine ? '张三' : '李四',
    kind: 'text',
    content: '在吗',
    body: null,
    file: null,
    recalled: false,
    replyTo: null,
    mentions: null,
    time: NOW,
    status: 'sent',
    progress: null,
    failure: null,
    detail: '',
    read: false,
    ...more,
  };
}

test('the menu of a chat has what can be done to it', () => {
  const menu = (more: Partial<ChatItem>, role: 'owner' | 'member' | null = null, now = NOW) =>
    actionsOf(item(more), role, now).join(' ');
  assert.equal(menu({}), 'copy forward remove pick quote recall');
  assert.equal(menu({}, null, NOW + 119_999), 'copy forward remove pick quote recall');
  assert.equal(menu({}, null, NOW + 120_000), 'copy forward remove pick quote');
  assert.equal(menu({ mine: false }), 'copy forward remove pick quote report');
  // Who leads a group takes back what others write, at any time.
  assert.equal(menu({ mine: false }, 'owner', NOW + 1e9), 'copy forward remove pick quote recall report');
  assert.equal(menu({ mine: false }, 'member'), 'copy forward remove pick quote report');
  assert.equal(menu({ kind: 'image', body: { mediaId: 'm' } }), 'save forward remove pick quote recall');
  assert.equal(menu({ kind: 'video', mine: false }), 'remove pick quote report');
  assert.equal(menu({ id: null, status: 'failed' }), 'copy resend remove');
  assert.equal(menu({ id: null, status: 'pending' }), 'copy cancel');
  assert.equal(menu({ id: null, status: 'sending', kind: 'image' }), 'cancel');
  assert.equal(menu({ id: null, status: 'held' }), 'copy remove');
  assert.equal(menu({ recalled: true }), '');
  assert.equal(menu({ kind: 'system' }), '');
});

test('the menu is above the bubble, or below it, and never beyond the screen', () => {
  const screen = { left: 0, top: 0, right: 375, bottom: 700 };
  const panel = { left: 0, top: 0, right: 300, bottom: 130 };
  const at = (left: number, top: number, right: number, bottom: number) => place({ left, top, right, bottom }, panel, screen);
  assert.deepEqual(at(60, 300, 160, 340), { left: 8, top: 160, arrow: 102, isAbove: true });
  // No room above: below.
  assert.deepEqual(at(60, 100, 160, 140), { left: 8, top: 150, arrow: 102, isAbove: false });
  // At the right edge.
  assert.deepEqual(at(250, 300, 330, 340), { left: 67, top: 160, arrow: 223, isAbove: true });
  // Neither above nor below: over it, on the screen.
  assert.deepEqual(at(60, -200, 160, 900), { left: 8, top: 8, arrow: 102, isAbove: true });
  // A menu with a single choice: the arrow stays within it.
  const small = place({ left: 0, top: 300, right: 10, bottom: 340 }, { left: 0, top: 0, right: 64, bottom: 76 }, screen);
  assert.deepEqual(small, { left: 8, top: 214, arrow: 16, isAbove: true });
});

test('links, numbers and addresses in a text can be tapped', () => {
  const found = (text: string, hasMentions = false) =>
    partsOf(text, hasMentions)
      .filter(({ kind }) => kind !== 'text')
      .map(({ kind, text: words }) => `${kind} ${words}`);
  assert.deepEqual(found('看https://example.com/a?b=1&c=2，好'), ['link https://example.com/a?b=1&c=2']);
  assert.deepEqual(found('见 www.example.com/路径 (http://a.cn/x).'), ['link www.example.com/', 'link http://a.cn/x']);
  assert.deepEqual(found('写信到 li.si+1@mail.example.com。'), ['mail li.si+1@mail.example.com']);
  assert.deepEqual(found('电话13812345678或+86 138-1234-5678'), ['phone 13812345678', 'phone +86 138-1234-5678']);
  assert.deepEqual(found('座机 010-12345678，热线 400-123-4567'), ['phone 010-12345678', 'phone 400-123-4567']);
  // Parts of longer numbers are none.
  assert.deepEqual(found('单号 2013812345678 和 13812345678901，1.13812345678'), []);
  assert.deepEqual(found('@李四 来一下 @所有人'), []);
  assert.deepEqual(found('@李四 来一下 @所有人', true), ['mention @李四', 'mention @所有人']);
  assert.deepEqual(partsOf('没有 http 什么', false), []);
  const text = '前 https://a.cn 中 a@b.cn 后';
  assert.equal(partsOf(text, true).map((part) => part.text).join(''), text);
});

test('an @ calls somebody, unless it is within an address', () => {
  assert.equal(isCall('@', 1), true);
  assert.equal(isCall('你好@', 3), true);
  assert.equal(isCall('a@', 2), false);
  assert.equal(isCall('你好@李', 4), false);
  assert.equal(isCall('', 0), false);
});

test('a chat mentions those whose names are still in it', () => {
  const li = { id: LI, name: '李四' };
  const all = { id: 'all' as const, name: '所有人' };
  assert.deepEqual(mentionsIn('@李四 在吗', [li, li]), [LI]);
  assert.equal(mentionsIn('李四 在吗', [li]), null);
  assert.equal(mentionsIn('@李四 @所有人 开会', [li, all]), 'all');
  assert.deepEqual(mentionsIn('@李四 开会', [li, all]), [LI]);
});

test('a forwarded chat names the file or the card, and nothing else', () => {
  assert.deepEqual(forwardable(item({})), { content: '在吗' });
  const image = { mediaId: 'm', url: 'https://x/m', width: 3 };
  assert.deepEqual(forwardable(item({ kind: 'image', content: '[图片]', body: image })), {
    kind: 'image',
    content: '[图片]',
    body: { mediaId: 'm' },
  });
  const card = { title: '订单', path: 'pages/order/order', event: 'x' };
  assert.deepEqual(forwardable(item({ kind: 'card', content: '订单', body: card }))?.body, {
    title: '订单',
    path: 'pages/order/order',
  });
  assert.equal(forwardable(item({ kind: 'video' })), null);
  assert.equal(forwardable(item({ id: null })), null);
  assert.equal(forwardable(item({ recalled: true })), null);
});

test('a quote has a hundred characters at most, and no half of an emoji', () => {
  const quote = quoteOf(item({ content: '😀'.repeat(150) }));
  assert.equal(quote?.content, '😀'.repeat(100));
  assert.equal(quoteOf(item({ id: null })), null);
});

test('the words of a recalled chat can be edited again for five minutes, by their writer alone', () => {
  const id = 77 as ChatId;
  remember(ME, item({ id }), NOW);
  assert.equal(wordsOf(ME, id, NOW + EDIT_MS - 1), '在吗');
  assert.equal(wordsOf(LI, id, NOW), null);
  assert.equal(wordsOf(ME, id, NOW + EDIT_MS), null);
  remember(ME, item({ id, mine: false }), NOW);
  assert.equal(wordsOf(ME, id, NOW), null);
  remember(ME, item({ id, kind: 'image' }), NOW);
  assert.equal(wordsOf(ME, id, NOW), null);
});

test('chats of others after the read mark are unread', () => {
  const unread = { count: 2, readUpTo: 5 as ChatId };
  assert.equal(isUnread(item({ mine: false, id: 6 as ChatId }), unread), true);
  assert.equal(isUnread(item({ mine: false, id: 5 as ChatId }), unread), false);
  assert.equal(isUnread(item({ mine: true, id: 6 as ChatId }), unread), false);
  assert.equal(isUnread(item({ mine: false, id: 6 as ChatId, kind: 'system' }), unread), false);
});
