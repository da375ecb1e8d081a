// What a bubble shows of a chat that is more than words.

import type { ChatItem } from '../core/index';
import { factsOf, nameOf } from '../media/facts';
import { reachable } from '../media/urls';

/** Sides of a picture, in rpx. */
const MOST_RPX = 320;
const LEAST_RPX = 88;

/** Widths of a voice, in rpx: of 1 s and of 60 s. */
const SHORTEST_RPX = 150;
const LONGEST_RPX = 420;

/** The part of a row that the components for media draw. */
export interface MediaRow {
  readonly kind: 'image' | 'voice' | 'file' | 'card';
  /** A picture's place, or that of a card's picture; empty if there is none. */
  readonly src: string;
  /** In rpx: of a picture, and the width of a voice. */
  readonly width: number;
  readonly height: number;
  /** The name of a file, the title of a card, the length of a voice. */
  readonly title: string;
  /** The size of a file, the description of a card. */
  readonly detail: string;
  /** 0 to 100; -1 if nothing is on its way. */
  readonly percent: number;
}

const NOTHING = { src: '', width: 0, height: 0, title: '', detail: '', percent: -1 } as const;

/** Null if the chat is shown by its words. */
export function mediaRow(item: ChatItem): MediaRow | null {
  const { kind, body, file, recalled, progress } = item;
  const percent = progress === null ? -1 : Math.floor(progress * 100);
  if (recalled || (!body && file === null)) return null;
  const [first, second] = file === null ? [0, 0] : factsOf(file);
  if (kind === 'image') {
    const { width, height } = fit(body?.width ?? first, body?.height ?? second);
    return { ...NOTHING, kind, src: file ?? reachable(body?.thumbUrl ?? body?.url ?? ''), width, height, percent };
  }
  if (kind === 'voice') {
    const seconds = Math.max(1, Math.round((body?.durationMs ?? first) / 1000));
    const width = Math.round(SHORTEST_RPX + ((LONGEST_RPX - SHORTEST_RPX) * Math.min(seconds, 60)) / 60);
    return { ...NOTHING, kind, width, title: `${seconds}″`, percent };
  }
  if (kind === 'file') {
    return { ...NOTHING, kind, title: body?.name ?? nameOf(file ?? ''), detail: bytes(body?.size ?? first), percent };
  }
  if (kind === 'card' && body?.title) {
    return { ...NOTHING, kind, src: body.imageUrl ?? '', title: body.title, detail: body.description ?? '' };
  }
  return null;
}

/** The size at which a picture is shown: its own proportions, unless it is very long. */
export function fit(width: number, height: number): { width: number; height: number } {
  if (width <= 0 || height <= 0) return { width: MOST_RPX / 2, height: MOST_RPX / 2 };
  const scale = MOST_RPX / Math.max(width, height);
  const side = (length: number) => Math.max(LEAST_RPX, Math.round(length * scale));
  return { width: side(width), height: side(height) };
}

/** A size in bytes, as people read it. */
export function bytes(size: number): string {
  if (size < 1024) return `${size} B`;
  const kilo = size / 1024;
  return kilo < 1024 ? `${Math.ceil(kilo)} KB` : `${(kilo / 1024).toFixed(1)} MB`;
}

/** The voice to play after this one: the next of somebody else that was not heard. */
export function nextVoice(
  items: readonly ChatItem[],
  key: string,
  wasHeard: (id: number | null) => boolean,
): ChatItem | null {
  const after = items.findIndex((item) => item.key === key) + 1;
  const next = items.slice(after).find(({ kind, mine, recalled }) => kind === 'voice' && !mine && !recalled);
  return after > 0 && next && !wasHeard(next.id) ? next : null;
}
