// One random run: a phone and its user, people who write, and faults. Then the faults end,
// and the page must show what the service has.

import assert from 'node:assert/strict';

import type { ChatItem, ConversationKey } from '../../../miniprogram/imkit/core/index';
import { CALM } from './phone';
import { BAD, HELD, REFUSED } from './store';
import { KEYS, ME, World, type Create, type Sent, type Weather } from './world';

export type { Create };

const WEATHERS: readonly Weather[] = [
  { kind: 'calm', faults: CALM, rough: false },
  { kind: 'slow', faults: { ...CALM, delayMs: 6000 }, rough: true },
  { kind: 'rough', faults: { ...CALM, fail: 0.15, delayMs: 400 }, rough: true },
  { kind: 'unruly', faults: { drop: 0.05, double: 0.05, reorder: 0.05, fail: 0.1, delayMs: 1500 }, rough: true },
];

/** Throws if anything was lost, duplicated or out of order. */
export async function run(create: Create, seed: number): Promise<void> {
  const weather = WEATHERS[seed % WEATHERS.length]!;
  const world = new Run(create, seed, weather);
  try {
    await world.run();
  } catch (error) {
    throw new Error(`seed ${seed} (${weather.kind}): ${String(error)}\n${world.story.slice(-25).join('\n')}`, { cause: error });
  }
}

class Run extends World {
  async run(): Promise<void> {
    for (let steps = 30 + this.chance.below(40); steps > 0; steps -= 1) {
      this.step();
      this.checkGaps();
      await this.time.pass(this.chance.pick([0, 20, 200, 1000, 4000, this.weather.rough ? 30_000 : 0]));
    }
    await this.calmDown();
    this.checkSent();
    this.checkWatched();
    await this.checkShown();
    await this.checkMarked();
    await this.checkRead();
  }

  /** Every accepted chat is at the service once, in the order of writing; or the user knows. */
  private checkSent(): void {
    for (const key of KEYS) {
      const id = this.conversationOf(key)?.id;
      const mine = this.sent.filter((one) => one.key === key);
      const stored = this.server.said
        .filter(({ conversationId, userId, content }) => conversationId === id && userId === ME && /^(mine|refused|held)/.test(content))
        .map(({ content }) => content);
      assert.equal(new Set(stored).size, stored.length, 'each once');
      assert.ok(!stored.some((content) => content.startsWith(REFUSED) || content.startsWith(BAD)), 'nothing that is refused');
      const inOrder = mine.filter(({ content, resent }) => !resent && stored.includes(content) && !content.startsWith(HELD));
      const order = stored.filter((content) => inOrder.some((one) => one.content === content));
      assert.deepEqual(order, inOrder.map(({ content }) => content), 'in the order of writing');
      const isFine = ({ content }: Sent) => stored.includes(content) || content.startsWith(REFUSED) || content.startsWith(BAD);
      // What is written into a group that one has left fails.
      const lost = mine.filter((one) => !isFine(one) && !one.discarded && !this.wasLeft.has(key));
      assert.deepEqual(lost, [], 'each one arrives');
    }
  }

  /** The service shows the presence of all who are on the screen and have a conversation. */
  private checkWatched(): void {
    const known = this.watched.filter((peerId) => this.server.conversation(ME, peerId));
    assert.deepEqual(new Set(this.server.watchedBy(ME)), new Set(known), 'who is on the screen is watched');
  }

  private async checkShown(): Promise<void> {
    const { client, server } = this;
    while (client.hasMoreConversations) await this.during(client.loadMoreConversations());
    const own = server.conversation(ME, ME)?.id;
    const listed = server.listed(ME);
    const rows = listed.map((row) => ({
      ...row,
      title: 'title' in row ? row.title : row.peer.name,
      role: 'role' in row ? row.role : null,
      memberCount: 'memberCount' in row ? row.memberCount : 0,
      lastChat: row.lastChat && { ...row.lastChat, recalled: row.lastChat.state !== undefined },
    }));
    const brief = (one: Omit<(typeof rows)[number], 'peer' | 'kind' | 'version' | 'position' | 'lastChat'> & { lastChat: { id: number; content: string; recalled: boolean } | null; peerReadUpTo?: number }) => {
      const { id, title, role, memberCount, unread, readUpTo, pinned, muted, markedUnread, draft, mentioned, lastChat } = one;
      // The other side of a conversation with oneself is oneself.
      const peerReadUpTo = Math.max(one.peerReadUpTo ?? 0, id === own ? readUpTo : 0);
      const last = lastChat && [lastChat.id, lastChat.content, lastChat.recalled];
      return { id, title, role, memberCount, unread, readUpTo, peerReadUpTo, pinned, muted, markedUnread, draft, mentioned, last };
    };
    assert.deepEqual(this.page.rows.map(brief), rows.map(brief), 'the list is the service’s');
    const total = listed.reduce((sum, { muted, unread }) => sum + (muted ? 0 : unread), 0);
    assert.equal(client.unreadTotal, Math.min(total, 100), 'the total is the service’s');
    for (const key of KEYS) {
      const chats = server.visible(ME, this.conversationOf(key));
      // Nobody is told what becomes of a group after leaving.
      if (this.isLeft(key) && this.opened.delete(key)) this.page.close(key);
      if (this.opened.has(key)) this.checkEnd(key, chats.map(({ id }) => id));
      else this.page.open(key);
      await this.time.pass(5000);
      while (client.chats(key).hasMore) await this.during(client.loadOlder(key));
      const items = this.page.chats.get(key)!;
      const words = ({ id, content, state, replyTo }: { id: number; content: string; state?: string | null; replyTo?: { content: string } | null | undefined }) =>
        `${id}: ${content} ${state ?? ''} ${replyTo ? `“${replyTo.content}”` : ''}`;
      const shown = items.filter(({ id }) => id !== null) as (ChatItem & { id: number })[];
      assert.deepEqual(shown.map(words), chats.map((chat) => words(server.shown(chat))), 'all is shown as it is, once, in order');
      const rest = items.filter(({ id }) => id === null);
      const failed = this.sent.filter((one) => one.key === key && this.isRefused(one));
      const isHere = (one: Sent) => rest.some((item) => this.sentBy(key, item) === one);
      assert.deepEqual(failed.filter((one) => !isHere(one)), [], 'what is refused is shown');
      if (!this.wasLeft.has(key)) assert.equal(rest.length, failed.length, 'nothing else is left');
      for (const { content, status, failure, detail } of rest) {
        assert.equal(status, 'failed', 'the outbox is empty');
        if (content.startsWith(BAD) && !this.wasLeft.has(key)) assert.deepEqual([failure, detail], ['content_rejected', 'not this'], 'it says why');
      }
    }
  }

  /** Marked as unread right after it was read, on a bad network: it stays marked. */
  private async checkMarked(): Promise<void> {
    const { client, server, chance, app } = this;
    const key = chance.pick(KEYS.filter((one) => !this.isLeft(one) && this.isUnread(one)));
    if (!key) return;
    const again = async (left: number): Promise<void> => {
      if (left > 0) await client.set(key, { markedUnread: true }).catch(() => again(left - 1));
    };
    app.faults = { ...this.weather.faults, drop: 0, double: 0, reorder: 0 };
    client.markRead(key);
    await this.time.pass(chance.pick([0, 20, 300, 2000]));
    if (chance.is(0.3)) client.refreshConversations().catch(() => undefined);
    if (chance.is(0.3)) app.cut(false);
    this.note(`marks ${key} as unread`);
    await Promise.all([again(20), this.time.pass(120_000)]);
    app.faults = CALM;
    await this.time.pass(60_000);
    assert.equal(server.row(ME, this.conversationOf(key)!).markedUnread, true, 'the mark of the unread stays');
    assert.equal(client.conversation(key)!.markedUnread, true, 'the mark of the unread is shown');
  }

  private isUnread(key: ConversationKey): boolean {
    return (this.client.conversation(key)?.unread ?? 0) > 0;
  }

  /** What is read is read, here and at the service, and no mark says otherwise. */
  private async checkRead(): Promise<void> {
    const { client, server } = this;
    const read = KEYS.filter((key) => !this.isLeft(key) && server.visible(ME, this.conversationOf(key)).length > 0);
    for (const key of read) client.markRead(key);
    await this.time.pass(5000);
    // On another device: then the mark alone says so.
    for (const key of read) server.keep(ME, this.conversationOf(key)!, { markedUnread: true });
    await this.time.pass(1000);
    for (const key of read) client.markRead(key);
    await this.time.pass(5000);
    for (const key of read) {
      const { unread, markedUnread } = server.row(ME, this.conversationOf(key)!);
      assert.deepEqual([key, unread, markedUnread], [key, 0, false], 'it is read');
      const shown = client.conversation(key)!;
      assert.deepEqual([key, shown.unread, shown.markedUnread], [key, 0, false], 'it is shown as read');
    }
  }

  /** What is shown has no gap, at any time, once it is loaded. */
  private checkGaps(): void {
    for (const key of this.opened) {
      const { items, loaded } = this.client.chats(key);
      const shown = new Set(items.map(({ id }) => id as number | null).filter((id) => id !== null));
      const ends = [Math.min(...shown), Math.max(...shown)] as const;
      if (!loaded || this.isLeft(key)) continue;
      const missing = this.server.visible(ME, this.conversationOf(key)).filter(({ id }) => id > ends[0] && id < ends[1] && !shown.has(id));
      assert.deepEqual(missing.map(({ id }) => id), [], 'no gap in what is shown');
    }
  }

  private isRefused({ content, discarded, key }: Sent): boolean {
    return !discarded && !this.wasLeft.has(key) && (content.startsWith(REFUSED) || content.startsWith(BAD));
  }

  /** An open conversation shows the newest chats without a gap. */
  private checkEnd(key: ConversationKey, stored: readonly number[]): void {
    const shown = this.page.chats.get(key)!.map(({ id }) => id).filter((id) => id !== null);
    assert.deepEqual(shown, shown.length === 0 ? [] : stored.slice(-shown.length), 'the newest ones, without a gap');
    assert.ok(shown.length >= Math.min(stored.length, 1), 'something is shown');
  }

  /** Lets time pass while something is loaded. */
  private async during(loading: Promise<void>): Promise<void> {
    await Promise.all([loading, this.time.pass(5000)]);
    // The page shows what was loaded a moment later.
    await this.time.pass(100);
  }
}
