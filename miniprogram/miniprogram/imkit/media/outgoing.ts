// Sends drafts with files, and removes the files of chats that need them no more.

import type { ConversationKey, Draft, ImClient, SendResult } from '../core/index';
import { madeAt } from './facts';
import { drop, sweep } from './files';

/**
 * Files of chats that are shown, by account and conversation, and `ChatItem.key`. They are drawn from the phone while it is
 * open.
 */
const files = new Map<string, Map<string, string>>();

/** Milliseconds within which a chat is shown that was sent. */
const JUST_NOW_MS = 1000;

const nameOf = (client: ImClient, conversation: ConversationKey) => `${client.me.id} ${conversation}`;

/** Sends a draft. If that is refused, its file is removed. */
export function sendDraft(client: ImClient, conversation: ConversationKey, draft: Draft): SendResult {
  const result = client.send(conversation, draft);
  const { file } = draft;
  if (file !== undefined) {
    if (result.ok) follow(nameOf(client, conversation), result.key, file);
    else drop(file);
  }
  return result;
}

function follow(name: string, key: string, file: string): void {
  const known = files.get(name) ?? new Map<string, string>();
  files.set(name, known.set(key, file));
}

let isSwept = false;

/** A conversation is shown no more: removes the files of chats that were sent or discarded. */
export function release(client: ImClient, conversation: ConversationKey): void {
  if (!isSwept) sweep();
  isSwept = true;
  const name = nameOf(client, conversation);
  const needed = new Set<string>();
  for (const { key, file } of client.chats(conversation).items) {
    if (file === null) continue;
    follow(name, key, file);
    needed.add(file);
  }
  for (const [key, file] of files.get(name) ?? []) {
    // What was sent a moment ago is not shown yet: the next time.
    if (needed.has(file) || Date.now() - (madeAt(file) ?? 0) < JUST_NOW_MS) continue;
    drop(file);
    files.get(name)?.delete(key);
  }
}
