// Whether a list follows its end, so that it shows new chats at once, or the user reads further up. A state machine
// without a list: the page says what it sees.

/** Milliseconds that a list needs to come to rest after the page has scrolled it. */
const SETTLE_MS = 400;

export interface End {
  /** Whether the list shows the newest chat, and scrolls to each new one. */
  readonly isFollowing: boolean;
  /** Chats that came while it does not. */
  readonly unseen: number;
  /** Whether the end of the list is on the screen. */
  readonly isVisible: boolean;
  /** When the page's own scrolling ends, in ms since 1970. */
  readonly settledAt: number;
}

/** A list that was just opened. */
export const OPENED: End = { isFollowing: true, unseen: 0, isVisible: true, settledAt: 0 };

/** The page scrolls to the end. */
export function scrolled(end: End, now: number): End {
  return { ...end, settledAt: now + SETTLE_MS };
}

/** The user asks for the newest chat. */
export function asked(end: End): End {
  return { ...end, isFollowing: true, unseen: 0 };
}

/** `count` chats of others came. */
export function arrived(end: End, count: number): End {
  return end.isFollowing ? end : { ...end, unseen: end.unseen + count };
}

/** Older chats came, which the user has scrolled up to, unless the end is on the screen too. */
export function readUp(end: End): End {
  return end.isVisible ? end : { ...end, isFollowing: false };
}

/** The end entered the screen, or left it: then the page calls `rested` after `restMs`. */
export function seen(end: End, isVisible: boolean): End {
  return isVisible ? asked({ ...end, isVisible }) : { ...end, isVisible };
}

/** Milliseconds until the list has come to rest. */
export function restMs(end: End, now: number): number {
  return Math.max(0, end.settledAt - now);
}

/** The list has come to rest: if the end is still off the screen, the user has scrolled up, and no new chat pushed it. */
export function rested(end: End): End {
  return readUp(end);
}
