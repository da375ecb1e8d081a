// Use case: somebody, or a conversation, is chosen from a sheet: to forward chats to, or to mention.

import { attempt, confirm, tell } from '../../ask';
import { toKey, type ChatItem, type UserId } from '../../core/index';
import { sayRefusal, texts } from '../../texts/index';
import { setInBatches } from '../../lists/batches';
import { replace } from '../../lists/patch';
import { cover, open, type Chat } from './chat';
import { forward, forwardable, targets } from './forward';
import { memberRows, mentionOf } from './mentions';

/** Lets the user choose a conversation for these chats. */
export function askForward(chat: Chat, items: readonly ChatItem[]): void {
  const opened = open(chat);
  if (!opened) return;
  const say = texts();
  const rows = targets(opened.client, say);
  chat.data.forwarded = [...items];
  chat.composer().rest();
  cover(chat, 'forward');
  setInBatches(chat, replace('sheetRows', chat.data.sheetRows, rows), { sheetNote: rows.length === 0 ? say.menu.forwardNone : '' });
}

/** Lets the user choose a member of the group. */
export function askMention(chat: Chat): void {
  chat.data.membersAfter = 0;
  chat.composer().rest();
  chat.setData({ over: 'mention', sheetRows: [], sheetNote: texts().chat.loading });
  void loadMembers(chat);
}

async function loadMembers(chat: Chat): Promise<void> {
  const opened = open(chat);
  const after = chat.data.membersAfter;
  if (!opened || typeof opened.key === 'number' || after === null || chat.data.isLoadingMembers) return;
  chat.data.isLoadingMembers = true;
  const from = after === 0 ? undefined : (after as UserId);
  const loading = memberRows(opened.client, opened.key, texts().menu.everyone, from);
  const isLoaded = await attempt(loading);
  chat.data.isLoadingMembers = false;
  if (chat.data.over !== 'mention') return;
  if (!isLoaded) {
    chat.setData({ sheetNote: '' });
    return;
  }
  const { rows, after: next } = await loading;
  chat.data.membersAfter = next;
  const { length } = chat.data.sheetRows;
  const added = Object.fromEntries(rows.map((row, index) => [`sheetRows[${length + index}]`, row]));
  chat.setData({ ...added, sheetNote: '' });
}

async function loadTargets(chat: Chat): Promise<void> {
  const opened = open(chat);
  if (!opened?.client.hasMoreConversations) return;
  if (!(await attempt(opened.client.loadMoreConversations()))) return;
  wx.nextTick(() => {
    if (chat.data.over !== 'forward') return;
    setInBatches(chat, replace('sheetRows', chat.data.sheetRows, targets(opened.client, texts())));
  });
}

async function forwardTo(chat: Chat, key: string, name: string): Promise<void> {
  const opened = open(chat);
  const to = toKey(key);
  const drafts = chat.data.forwarded.flatMap((item) => forwardable(item) ?? []);
  const { menu, chat: say } = texts();
  if (!opened || to === null || drafts.length === 0) return;
  if (!(await confirm(menu.forwardQuestion(name, drafts.length), say.send))) return;
  cover(chat, '');
  const result = forward(opened.client, to, drafts);
  tell(result.ok ? menu.forwarded : sayRefusal(result.code));
}

function mention(chat: Chat, key: string): void {
  const row = chat.data.sheetRows.find((each) => each.key === key);
  cover(chat, '');
  if (!row) return;
  chat.data.mentions = [...chat.data.mentions, mentionOf(row)];
  const composer = chat.composer();
  composer.insert(`${row.name} `);
  composer.focus();
}

/** Methods of the component. */
export const sheets = {
  onSheetMore(this: Chat) {
    void (this.data.over === 'mention' ? loadMembers(this) : loadTargets(this));
  },

  onSheetClosed(this: Chat) {
    // The @ that opened it stays in the field.
    cover(this, '');
  },

  onSheetChosen(this: Chat, { detail }: WechatMiniprogram.CustomEvent<{ key: string }>) {
    const { key } = detail;
    if (this.data.over === 'mention') mention(this, key);
    else void forwardTo(this, key, this.data.sheetRows.find((row) => row.key === key)?.name ?? '');
  },
};
