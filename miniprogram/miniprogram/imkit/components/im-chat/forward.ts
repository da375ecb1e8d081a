// Forwarding chats into another conversation.

import type { Body, ChatItem, Conversation, ConversationKey, Draft, ImClient, SendResult } from '../../core/index';
import { titleOf } from '../../lists/rows';
import type { Texts } from '../../texts/zh';
import type { PickRow } from '../pick-sheet/row';

/** What a card shows; the service refuses other keys. */
const CARD = ['title', 'description', 'imageUrl', 'path', 'url', 'data'] as const;

/** The chat as something to send anew. Null if it cannot be forwarded. */
export function forwardable({ id, kind, content, body, recalled }: ChatItem): Draft | null {
  if (id === null || recalled) return null;
  if (kind === 'text') return { content };
  if (kind === 'card' && body) return { kind, content, body: cardOf(body) };
  // The service finds everything else by the id.
  return body?.mediaId === undefined ? null : { kind, content, body: { mediaId: body.mediaId } };
}

function cardOf(body: Body): Body {
  const kept = CARD.filter((name) => body[name] !== undefined && body[name] !== null);
  return Object.fromEntries(kept.map((name) => [name, body[name]]));
}

/** The conversations to choose from. */
export function targets(client: ImClient, say: Texts): PickRow[] {
  return client.conversations().map((conversation) => ({
    key: String(conversation.key),
    name: titleOf(conversation, say),
    avatarUrl: conversation.avatarUrl ?? '',
    hue: hueOf(conversation),
  }));
}

function hueOf({ peer, id }: Conversation): number {
  return peer?.id ?? id;
}

/** Sends all of them, in their order. The result is that of the first one that is refused. */
export function forward(client: ImClient, to: ConversationKey, drafts: readonly Draft[]): SendResult {
  let result: SendResult = { ok: true, key: '' };
  for (const draft of drafts) {
    result = client.send(to, draft);
    if (!result.ok) break;
  }
  return result;
}
