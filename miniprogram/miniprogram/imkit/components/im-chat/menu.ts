// What a choice from the menu of a bubble does.

import { attempt, confirm, tell } from '../../ask';
import { complain } from '../../complain';
import type { ChatItem, ConversationKey, ImClient } from '../../core/index';
import { savePicture } from '../../media/album';
import { texts } from '../../texts/index';
import type { Action } from '../bubble-menu/action';
import { remember } from './recall';

/** What a choice needs of the chat that is shown. */
export interface Chat {
  readonly client: ImClient;
  readonly conversation: ConversationKey;
  quote(item: ChatItem): void;
  forward(items: readonly ChatItem[]): void;
  /** Begins to choose several. */
  pick(item: ChatItem): void;
  /** It was taken back: its words can be written again. */
  recalled(item: ChatItem): void;
}

type Run = (item: ChatItem, chat: Chat) => unknown;

const RUN: Readonly<Record<Action, Run>> = {
  copy: ({ content }) => {
    copy(content);
  },
  forward: (item, chat) => {
    chat.forward([item]);
  },
  remove: (item, { client, conversation }) => remove(client, conversation, [item]),
  pick: (item, chat) => {
    chat.pick(item);
  },
  quote: (item, chat) => {
    chat.quote(item);
  },
  recall,
  report: ({ id }, { client }) => id !== null && complain(client, { chatId: id }),
  resend: ({ key }, { client, conversation }) => client.resend(conversation, key),
  save: (item) => savePicture(item),
  cancel: ({ key }, { client, conversation }) => {
    if (!client.discard(conversation, key)) tell(texts().menu.isSending);
  },
};

/** Does what was chosen. */
export function run(action: Action, item: ChatItem, chat: Chat): void {
  void RUN[action](item, chat);
}

/** WeChat says by itself that it has copied. */
export function copy(data: string): void {
  const fail = () => {
    tell(texts().chat.copyFailed);
  };
  wx.setClipboardData({ data, fail });
}

async function recall(item: ChatItem, chat: Chat): Promise<void> {
  const { id } = item;
  if (id === null) return;
  if (!(await attempt(chat.client.recall(id), { too_late: texts().menu.tooLate }))) return;
  remember(chat.client.me.id, item, Date.now());
  chat.recalled(item);
}

/** Asks, and deletes chats for oneself; unsent ones for everybody. False if the user has changed the mind. */
export async function remove(
  client: ImClient,
  conversation: ConversationKey,
  items: readonly ChatItem[],
): Promise<boolean> {
  const { chat, menu } = texts();
  if (!(await confirm(menu.removeQuestion(items.length), chat.remove))) return false;
  for (const { id, key } of items) {
    if (id === null) client.discard(conversation, key);
    else if (!(await attempt(client.remove(id)))) return true;
  }
  return true;
}
