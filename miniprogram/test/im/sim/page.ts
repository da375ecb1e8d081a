// A page as pages are: it knows only what `Changes` told, and checks that this is what is there.

import assert from 'node:assert/strict';

import type { ChatItem, Changes, Conversation, ImClient, ListChange, UserId } from '../../../miniprogram/im/index';

/** Renders the list and the open conversations from changes alone. */
export class Page {
  rows: Conversation[];
  readonly chats = new Map<UserId, ChatItem[]>();

  constructor(private readonly client: ImClient) {
    this.rows = [...client.conversations()];
    client.subscribe((changes) => {
      this.apply(changes);
    });
  }

  open(peerId: UserId): void {
    this.client.open(peerId);
    this.chats.set(peerId, [...this.client.chats(peerId).items]);
    inOrder(this.client.chats(peerId).items);
  }

  close(peerId: UserId): void {
    this.client.close(peerId);
    this.chats.delete(peerId);
  }

  private apply({ conversations, chats }: Changes): void {
    patch(this.rows, conversations, this.client.conversations());
    const times = this.rows.map(({ lastChat }) => lastChat.id);
    assert.deepEqual(times, [...times].sort((a, b) => b - a), 'the list is newest first');
    for (const [peerId, change] of chats) {
      const items = this.client.chats(peerId).items;
      const shown = this.chats.get(peerId);
      assert.ok(shown, 'told of a conversation that is not open');
      patch(shown, change.items, items);
      inOrder(items);
    }
    for (const [peerId, shown] of this.chats) same(shown, this.client.chats(peerId).items);
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

/** By id and without repeats, then what is not sent; no bubble twice. */
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
