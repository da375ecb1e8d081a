// The rows that pages draw for chats and conversations, as texts.

import type { ChatItem, Conversation, ConversationKey } from '../im/index';
import { longTime, shortTime } from '../texts/time';
import type { Texts } from '../texts/zh';

/** Milliseconds since the chat before, after which a chat shows its time. */
const TIME_GAP_MS = 5 * 60_000;

/** A bubble, and the time above it. */
export interface ChatRow {
  readonly key: string;
  readonly mine: boolean;
  readonly text: string;
  /** Empty if it follows the one before closely. */
  readonly time: string;
  readonly status: 'pending' | 'failed' | 'sent';
  /** The line under one's own chat: whether it was read, or why it was refused. */
  readonly note: string;
}

export function chatRow(items: readonly ChatItem[], index: number, now: number, say: Texts): ChatRow {
  const item = items[index];
  if (!item) throw new RangeError(`there is no chat ${index}`);
  const previous = items[index - 1];
  const isApart = !previous || item.time - previous.time > TIME_GAP_MS;
  return {
    key: item.key,
    mine: item.mine,
    text: item.content,
    time: isApart ? longTime(item.time, now, say) : '',
    status: item.status === 'sending' ? 'pending' : item.status,
    note: note(item, say),
  };
}

/** With `not_allowed` the detail is the reason, with `content_rejected` it is words for the user. */
function note(item: ChatItem & { readonly detail?: string }, { chat }: Texts): string {
  const { failure, detail = '' } = item;
  if (failure === 'not_allowed') return chat.denied[detail] ?? chat.refused[failure] ?? '';
  if (failure === 'content_rejected' && detail) return detail;
  if (failure !== null) return chat.refused[failure] ?? '';
  if (!item.mine || item.status !== 'sent') return '';
  return item.read ? chat.read : chat.unread;
}

/** A line of the list of conversations. */
export interface ConversationRow {
  readonly key: ConversationKey;
  readonly peerId: number;
  readonly name: string;
  readonly avatarUrl: string;
  readonly online: boolean;
  readonly preview: string;
  readonly isTyping: boolean;
  readonly hasFailed: boolean;
  readonly time: string;
  /** Empty, `1` to `99`, or `99+`. */
  readonly unread: string;
}

export function conversationRow(
  conversation: Conversation,
  isTyping: boolean,
  now: number,
  say: Texts,
): ConversationRow {
  const { key, peer, lastChat, unsent } = conversation;
  const hasFailed = unsent?.status === 'failed';
  const mark = hasFailed ? say.conversations.failed : say.conversations.unsent;
  const last = lastChat.content;
  return {
    key,
    peerId: peer.id,
    name: peer.name,
    avatarUrl: peer.avatarUrl ?? '',
    online: peer.online,
    preview: isTyping ? say.conversations.typing : unsent ? mark + unsent.content : last,
    isTyping,
    hasFailed,
    time: shortTime(unsent?.time ?? lastChat.time, now, say),
    unread: badge(conversation.unread),
  };
}

/** A number as a badge shows it. */
export function badge(count: number): string {
  if (count === 0) return '';
  return count > 99 ? '99+' : String(count);
}
