// Whether a list follows its end, so that a new chat is shown at once, or is read further up. Knows no list: the page
// says what it sees.

/** Milliseconds in which a list comes to rest after it was scrolled by the page itself. */
const SETTLE_MS = 400;

export interface End {
  /** Whether the list shows the newest chat, and goes on showing it. */
  readonly isFollowing: boolean;
  /** Chats that came since it does not. */
  readonly unseen: number;
  /** Whether the end of the list is on the screen. */
  readonly isVisible: boolean;
  /** Until when the list moves because of the page, in ms since 1970. */
  readonly settledAt: number;
}

/** A list that was just opened. */
export const OPENED: End = { isFollowing: true, unseen: 0, isVisible: true, settledAt: 0 };

/** The page scrolls to the end. */
export function scrolled(end: End, now: number): End {
  return { ...end, settledAt: now + SETTLE_MS };
}

/** The reader asks for the newest chat. */
export function asked(end: End): End {
  return { ...end, isFollowing: true, unseen: 0 };
}

/** So many chats of others came. */
export function arrived(end: End, count: number): End {
  return end.isFollowing ? end : { ...end, unseen: end.unseen + count };
}

/** The end came on the screen, or left it: then `rested` is to follow after `restMs`. */
export function seen(end: End, isVisible: boolean): End {
  return isVisible ? asked({ ...end, isVisible }) : { ...end, isVisible };
}

/** How long it may take until the list has come to rest, in milliseconds. */
export function restMs(end: End, now: number): number {
  return Math.max(0, end.settledAt - now);
}

/** The list has come to rest. New chats push the end off the screen for a moment; a reader who scrolls up leaves it there. */
export function rested(end: End): End {
  return end.isVisible ? end : { ...end, isFollowing: false };
}
