// The rows that pages draw for chats and conversations, as texts.

import type { ChatItem, Conversation, ConversationKey, Quote } from '../core/index';
import { longTime, shortTime } from '../texts/time';
import { mediaRow, type MediaRow } from './media';
import type { Texts } from '../texts/zh';
import { partsOf, type Part } from './links';

/** Milliseconds since the chat before, after which a chat shows its time. */
const TIME_GAP_MS = 5 * 60_000;

/** Milliseconds after which a chat that is not sent yet shows a clock. */
const LATE_MS = 15_000;

/** A bubble, and the time above it. */
export interface ChatRow {
  readonly key: string;
  readonly mine: boolean;
  readonly userId: number;
  readonly name: string;
  /** A `line` is shown in the middle: it says what has happened. */
  readonly kind: 'bubble' | 'line';
  readonly text: string;
  /** A picture, a voice, a file or a card instead of the text. */
  readonly media: MediaRow | null;
  /** The text in parts, if some can be tapped; otherwise empty. */
  readonly parts: readonly Part[];
  /** The chat that it quotes, or empty. */
  readonly quoted: string;
  /** Empty if it follows the one before closely. */
  readonly time: string;
  /** The time for a screen reader. */
  readonly at: string;
  readonly status: 'pending' | 'failed' | 'sent';
  /** It has been waiting for long already. */
  readonly isLate: boolean;
  /** The line under one's own chat: whether it was read, or why it was refused. */
  readonly note: string;
}

export function chatRow(items: readonly ChatItem[], index: number, now: number, say: Texts): ChatRow {
  const item = items[index];
  if (!item) throw new RangeError(`there is no chat ${index}`);
  const previous = items[index - 1];
  const isApart = !previous || item.time - previous.time > TIME_GAP_MS;
  const { key, mine, userId, userName, kind, status, recalled, replyTo, mentions } = item;
  const isLine = recalled || kind === 'system';
  const at = longTime(item.time, now, say);
  const who = mine ? say.chat.you : userName;
  const quoted = replyTo && !isLine ? quotedText(replyTo, say) : '';
  return {
    key,
    mine,
    userId,
    name: userName,
    kind: isLine ? 'line' : 'bubble',
    text: recalled ? who + say.chat.hasRecalled : item.content,
    media: mediaRow(item),
    parts: isLine ? [] : partsOf(item.content, mentions !== null),
    quoted,
    time: isApart ? at : '',
    at,
    status: status === 'sending' ? 'pending' : status === 'held' ? 'sent' : status,
    isLate: now - item.time > LATE_MS,
    note: note(item, say),
  };
}

/** A quote in one line. */
export function quotedText({ userName, state, content }: Quote, { chat }: Texts): string {
  return `${userName}: ${state ? chat.isRecalled : content}`;
}

/** With `not_allowed` the detail is the reason, with `content_rejected` it is words for the user. */
function note(item: ChatItem, { chat }: Texts): string {
  if (item.status === 'held') return chat.held;
  const { failure } = item;
  if (failure === 'content_rejected' && item.detail) return item.detail;
  if (failure === 'not_allowed') return chat.denied[item.detail] ?? chat.refused[failure] ?? '';
  if (failure !== null) return chat.refused[failure] ?? '';
  if (!item.mine || item.status !== 'sent') return '';
  return item.read ? chat.read : chat.unread;
}

/** Characters of a preview: more than the line has room for. */
const MOST_PREVIEW = 80;

/** A line of the list of conversations. */
export interface ConversationRow {
  readonly key: ConversationKey;
  readonly peerId: number;
  readonly name: string;
  readonly avatarUrl: string;
  readonly online: boolean;
  readonly pinned: boolean;
  readonly muted: boolean;
  /** Before the preview, in red: a draft, or that somebody calls one by name. */
  readonly mark: string;
  readonly preview: string;
  readonly isTyping: boolean;
  /** The newest unsent chat has failed for good: a sign before the preview says so. */
  readonly hasFailed: boolean;
  readonly time: string;
  /** Empty, `1` to `99`, or `99+`. */
  readonly unread: string;
  /** Something is unread, but no number is shown: it is muted, or was marked by hand. */
  readonly hasDot: boolean;
  /** What a screen reader says. */
  readonly label: string;
}

export function conversationRow(
  conversation: Conversation,
  isTyping: boolean,
  now: number,
  say: Texts,
): ConversationRow {
  const { key, peer, lastChat, unsent, unread, mentioned, draft, pinned, muted, markedUnread } = conversation;
  const count = badge(unread);
  const isDraft = !mentioned && !!draft;
  const mark = mentioned ? say.list.mentioned : isDraft ? say.list.draft : '';
  const heap = muted && count && !mentioned ? say.list.count(count) : '';
  const hasFailed = !isDraft && unsent?.status === 'failed';
  const waiting = unsent && !hasFailed ? say.conversations.unsent : '';
  const words = isDraft ? draft : unsent ? waiting + unsent.content : heap + lastWords(conversation, say);
  const name = titleOf(conversation, say);
  const preview = isTyping ? say.conversations.typing : Array.from(words.slice(0, 2 * MOST_PREVIEW)).slice(0, MOST_PREVIEW).join('');
  const time = shortTime(unsent?.time ?? lastChat?.time ?? now, now, say);
  const hasDot = muted ? count !== '' || markedUnread : markedUnread && count === '';
  const signs = [muted ? say.list.muted : '', hasDot ? say.list.hasUnread : muted ? '' : count && say.list.count(count).trim()];
  return {
    key,
    peerId: peer?.id ?? 0,
    name,
    avatarUrl: conversation.avatarUrl ?? '',
    online: peer?.online === true,
    pinned,
    muted,
    mark: isTyping ? '' : mark,
    preview,
    isTyping,
    hasFailed: !isTyping && hasFailed,
    time: lastChat || unsent ? time : '',
    unread: muted ? '' : count,
    hasDot,
    label: [name, ...signs, (hasFailed ? say.conversations.failed : '') + mark + preview, time].filter((part) => part !== '').join(say.chat.comma),
  };
}

/** What the last chat says, with its sender in a group. */
function lastWords({ lastChat, kind }: Conversation, say: Texts): string {
  if (!lastChat) return '';
  const { mine, userName, recalled, content } = lastChat;
  if (recalled) return (mine ? say.chat.you : userName) + say.chat.hasRecalled;
  const isSaid = kind === 'group' && !mine && lastChat.kind !== 'system';
  return (isSaid ? `${userName}: ` : '') + content;
}

/** The name of the other side, or of the group. */
export function titleOf({ title, kind, memberCount }: Conversation, say: Texts): string {
  return title || (kind === 'group' ? `${say.conversations.group}(${memberCount})` : '');
}

/** A number as a badge shows it. */
export function badge(count: number): string {
  if (count === 0) return '';
  return count > 99 ? '99+' : String(count);
}
