// What can be done to a conversation of the list.

import { attempt, confirm } from '../ask';
import type { Conversation, ConversationKey, ImClient } from '../core/index';
import { texts } from '../texts/index';
import { markRead } from './mark-read';

export interface Action {
  readonly id: 'unread' | 'pin' | 'mute' | 'hide' | 'remove';
  readonly text: string;
  /** Where there is little room. */
  readonly short: string;
  readonly run: () => Promise<unknown>;
}

/** In the order of the menu. What they change comes with the client's `Changes`; a failure is told. */
export function actionsOf(client: ImClient, conversation: Conversation): readonly Action[] {
  const { list: say } = texts();
  const { key, pinned, muted, markedUnread, unread } = conversation;
  const isUnread = markedUnread || unread > 0;
  const set = (settings: Parameters<ImClient['set']>[1]) => () =>
    attempt(client.set(key, settings), { too_many_pinned: say.tooManyPinned });
  const read = isUnread ? say.markRead : say.markUnread;
  const pin = pinned ? say.unpin : say.pin;
  const mute = muted ? say.unmute : say.mute;
  const remove = async () => {
    if (!(await confirm(say.removeQuestion, say.removeShort))) return;
    discardUnsent(client, key);
    if (await attempt(client.clear(key))) await attempt(client.hideConversation(key));
  };
  return [
    { id: 'unread', text: read, short: read, run: isUnread ? () => attempt(markRead(client, conversation)) : set({ markedUnread: true }) },
    { id: 'pin', text: pin, short: pin, run: set({ pinned: !pinned }) },
    { id: 'mute', text: mute, short: mute, run: set({ muted: !muted }) },
    { id: 'hide', text: say.hide, short: say.hideShort, run: () => attempt(client.hideConversation(key)) },
    { id: 'remove', text: say.remove, short: say.removeShort, run: remove },
  ];
}

/** Of a row that the service does not know: it goes with its unsent chats. */
export function actionsOfUnsent(client: ImClient, key: ConversationKey): readonly Action[] {
  const { list: say } = texts();
  const run = () => {
    for (const { key: item, status } of client.chats(key).items) if (status !== 'sent') client.discard(key, item);
    return Promise.resolve();
  };
  return [{ id: 'remove', text: say.remove, short: say.removeShort, run }];
}

/** The ones that a swipe uncovers. */
export function swiped(actions: readonly Action[]): readonly Action[] {
  return actions.filter(({ id }) => id === 'unread' || id === 'hide' || id === 'remove');
}

/** Without this, what is unsent would bring the conversation back. */
function discardUnsent(client: ImClient, key: ConversationKey): void {
  for (;;) {
    const unsent = client.conversation(key)?.unsent;
    if (!unsent || !client.discard(key, unsent.key)) return;
  }
}
