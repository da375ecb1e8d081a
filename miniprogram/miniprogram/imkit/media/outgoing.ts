// Sends drafts with files, and removes the files of chats that need them no more.

import type { ConversationKey, Draft, ImClient, SendResult } from '../core/index';
import { drop, sweep } from './files';

/** Files of chats that are shown, by conversation and `ChatItem.key`. They are drawn from the phone while it is open. */
const files = new Map<ConversationKey, Map<string, string>>();

/** Sends a draft. If that is refused, its file is removed. */
export function sendDraft(client: ImClient, conversation: ConversationKey, draft: Draft): SendResult {
  const result = client.send(conversation, draft);
  const { file } = draft;
  if (file !== undefined) {
    if (result.ok) follow(conversation, result.key, file);
    else drop(file);
  }
  return result;
}

function follow(conversation: ConversationKey, key: string, file: string): void {
  const known = files.get(conversation) ?? new Map<string, string>();
  files.set(conversation, known.set(key, file));
}

let isSwept = false;

/** A conversation is shown no more: removes the files of chats that were sent or discarded. */
export function release(client: ImClient, conversation: ConversationKey): void {
  if (!isSwept) sweep();
  isSwept = true;
  const items = new Map(client.chats(conversation).items.map((item) => [item.key, item]));
  for (const item of items.values()) if (item.file !== null) follow(conversation, item.key, item.file);
  for (const [key, file] of files.get(conversation) ?? []) {
    if (items.get(key)?.file === file) continue;
    drop(file);
    files.get(conversation)?.delete(key);
  }
}
