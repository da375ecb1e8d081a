// Plays voices: one at a time, and after it the next one that was not heard yet.

import type { ConversationKey, ImClient } from '../core/index';
import { nextVoice } from '../lists/media';
import { texts } from '../texts/index';
import { reachable } from './urls';

/** Voices of which the phone remembers that they were heard. */
const MOST_HEARD = 1000;

const HEARD = 'im-heard';

interface Playing {
  readonly client: ImClient;
  readonly conversation: ConversationKey;
  readonly key: string;
}

let playing: Playing | null = null;
let sound: WechatMiniprogram.InnerAudioContext | null = null;
let heard: Set<string> | null = null;
let hearsInterruptions = false;

const listeners = new Set<() => void>();

/** Calls `listener` when something begins or ends to play. The result unsubscribes. */
export function onVoices(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function tell(): void {
  for (const listener of [...listeners]) listener();
}

function heardSet(): Set<string> {
  if (heard) return heard;
  const stored: unknown = wx.getStorageSync(HEARD);
  heard = new Set(typeof stored === 'string' && stored !== '' ? stored.split(',') : []);
  return heard;
}

/** A chat's id is the same for all accounts of a phone. */
function nameOf(client: ImClient, id: number): string {
  return `${client.me.id}:${id}`;
}

/** Whether a voice of somebody else was played on this phone. */
export function isHeard(client: ImClient, id: number | null): boolean {
  return id === null || heardSet().has(nameOf(client, id));
}

function remember(client: ImClient, id: number): void {
  const all = heardSet();
  if (all.has(nameOf(client, id))) return;
  all.add(nameOf(client, id));
  for (const oldest of all) {
    if (all.size <= MOST_HEARD) break;
    all.delete(oldest);
  }
  try {
    wx.setStorageSync(HEARD, [...all].join(','));
  } catch {
    // The storage is full: the dot comes back with the next start.
  }
}

/** Whether this voice is playing. */
export function isPlaying(conversation: ConversationKey | null, key: string): boolean {
  return playing !== null && playing.conversation === conversation && playing.key === key;
}

/** Plays a voice instead of any other; one that plays is stopped. */
export function play(client: ImClient, conversation: ConversationKey, key: string): void {
  const wasPlaying = isPlaying(conversation, key);
  stopVoices();
  if (!wasPlaying) begin({ client, conversation, key });
}

/** Silence. */
export function stopVoices(): void {
  playing = null;
  sound?.destroy();
  sound = null;
  tell();
}

/** Whoever leaves a chat hears it no longer. */
export function stopVoicesOf(conversation: ConversationKey): void {
  if (playing?.conversation === conversation) stopVoices();
}

function begin(next: Playing): void {
  const { client, conversation, key } = next;
  const item = client.chats(conversation).items.find((each) => each.key === key);
  const src = item?.file ?? reachable(item?.body?.url ?? '');
  if (!item || src === '') return;
  playing = next;
  // By a call, after which WeChat does not go on by itself.
  if (!hearsInterruptions && wx.canIUse('onAudioInterruptionBegin')) wx.onAudioInterruptionBegin(stopVoices);
  hearsInterruptions = true;
  // Also with the switch at the side of an iPhone on silent.
  if (wx.canIUse('setInnerAudioOption')) void wx.setInnerAudioOption({ obeyMuteSwitch: false });
  const made = (sound = wx.createInnerAudioContext());
  made.onEnded(() => {
    if (sound === made) follow(next);
  });
  made.onError(() => {
    if (sound !== made) return;
    stopVoices();
    void wx.showToast({ title: texts().media.cannotPlay, icon: 'none' });
  });
  made.src = src;
  made.play();
  // WeChat marks it as heard when it is begun.
  if (!item.mine && item.id !== null) remember(client, item.id);
  tell();
}

function follow({ client, conversation, key }: Playing): void {
  stopVoices();
  const next = nextVoice(client.chats(conversation).items, key, (id) => isHeard(client, id));
  if (next) begin({ client, conversation, key: next.key });
}
