// A page that draws from `Changes` alone, and checks that this is what the client has.

import assert from 'node:assert/strict';

import type { ChatItem, Changes, Conversation, ConversationKey, ImClient, ListChange } from '../../../miniprogram/imkit/core/index';

/** Renders the list and the open conversations from changes alone. */
export class Page {
  rows: Conversation[];
  readonly chats = new Map<ConversationKey, ChatItem[]>();

  constructor(private readonly client: ImClient) {
    this.rows = [...client.conversations()];
    client.subscribe((changes) => {
      this.apply(changes);
    });
  }

  open(key: ConversationKey): void {
    this.client.open(key);
    this.chats.set(key, [...this.client.chats(key).items]);
    inOrder(this.client.chats(key).items);
  }

  close(key: ConversationKey): void {
    this.client.close(key);
    this.chats.delete(key);
  }

  private apply({ conversations, chats }: Changes): void {
    patch(this.rows, conversations, this.client.conversations());
    const keys = new Set(this.rows.map(({ key }) => key));
    assert.equal(keys.size, this.rows.length, 'a conversation is listed once');
    for (const { pinned, left } of this.rows) assert.ok(!left && Number(pinned) <= Number(this.rows[0]!.pinned), 'pinned ones first');
    for (const [key, change] of chats) {
      const items = this.client.chats(key).items;
      const shown = this.chats.get(key);
      assert.ok(shown, 'told of a conversation that is not open');
      patch(shown, change.items, items);
      inOrder(items);
    }
    for (const [key, shown] of this.chats) same(shown, this.client.chats(key).items);
    same(this.rows, this.client.conversations());
  }
}

function patch<T>(shown: T[], change: ListChange | null, now: readonly T[]): void {
  if (!change) return;
  const { index, removed, inserted, changed } = change;
  shown.splice(index, removed, ...now.slice(index, index + inserted));
  for (const at of changed) shown[at] = now[at]!;
}

function same<T>(shown: readonly T[], now: readonly T[]): void {
  assert.equal(shown.length, now.length, 'changes tell how many there are');
  shown.forEach((entry, at) => {
    assert.equal(entry, now[at], 'changes tell which are others');
  });
}

/** By id and without duplicates, then unsent chats; no bubble twice. */
export function inOrder(items: readonly ChatItem[]): void {
  const keys = new Set(items.map(({ key }) => key));
  assert.equal(keys.size, items.length, 'a bubble is shown once');
  let last = 0;
  for (const { id, status } of items) {
    assert.equal(id === null, status !== 'sent');
    if (id === null) {
      last = Infinity;
    } else {
      assert.ok(id > last, 'chats are shown by id, and what is unsent after them');
      last = id;
    }
  }
}
