// Use case: with whom one talks, and whether they are there.

import { ImError, type ConversationKey, type ImClient, type User } from '../../core/index';
import { picturesOf } from '../../lists/pictures';
import { titleOf } from '../../lists/rows';
import { remember } from '../../lists/unlisted';
import { sayError, texts } from '../../texts/index';
import { longTime } from '../../texts/time';
import type { Chat } from './chat';

export interface Face {
  readonly id: number;
  readonly name: string;
  readonly avatarUrl: string;
}

export function face({ id, name, avatarUrl }: User): Face {
  return { id, name, avatarUrl: avatarUrl ?? '' };
}

function setPeer(chat: Chat, peer: Face): void {
  chat.setData({ peer });
  chat.setTitle();
}

/** Finds the peer: the list of conversations may not have them yet. */
export async function meet(chat: Chat, current: ImClient, key: ConversationKey): Promise<void> {
  if (typeof key === 'string') {
    rename(chat, current, key);
    // Without an answer, letters stand for the pictures.
    const pictures = await picturesOf(current, key).catch(() => ({}));
    if (Object.keys(pictures).length > 0) chat.setData({ pictures });
    return;
  }
  try {
    const person = current.conversation(key)?.peer ?? (await current.user(key));
    if (chat.key() !== key) return;
    setPeer(chat, face(person));
    rememberPeer(chat, current, key);
  } catch (error) {
    if (chat.key() !== key) return;
    if (error instanceof ImError && error.status === 404) {
      // A stranger, or no such user: the first chat will show.
      setPeer(chat, { id: key, name: String(key), avatarUrl: '' });
      return;
    }
    void wx.showToast({ title: sayError(error, texts().chat.refused), icon: 'none' });
  }
}

/** The list needs a name for somebody new, whose first chat is not sent yet. */
export function rememberPeer(chat: Chat, current: ImClient, key: ConversationKey): void {
  const { name, avatarUrl } = chat.data.peer;
  remember(current, key, name || String(key), avatarUrl || null);
}

/** Draws the name and the picture again if they have changed. */
export function rename(chat: Chat, current: ImClient, key: ConversationKey): void {
  const known = current.conversation(key);
  if (!known) return;
  const { peer } = chat.data;
  const [name, avatarUrl] = [titleOf(known, texts()), known.avatarUrl ?? ''];
  if (name !== peer.name || avatarUrl !== peer.avatarUrl) setPeer(chat, { id: known.peer?.id ?? 0, name, avatarUrl });
}

export function drawPeer(chat: Chat, current: ImClient, key: ConversationKey): void {
  // Without a connection nobody knows.
  const isKnown = current.connection.phase === 'online' && typeof key === 'number';
  const known = isKnown ? current.presence(key) : null;
  const isOnline = known?.online === true;
  const lastSeen = known?.lastSeenAt;
  const say = texts();
  const away = lastSeen ? say.chat.lastSeen + longTime(lastSeen, Date.now(), say) : say.chat.offline;
  const presence = known ? (isOnline ? say.chat.online : away) : '';
  chat.setData({ isTyping: current.isTyping(key), isOnline, presence, isAway: known !== null && !isOnline });
}
