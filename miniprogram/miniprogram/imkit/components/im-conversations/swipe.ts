// Tells a swipe to the side from scrolling.

/** In pixels. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Pixels that a finger moves before it is a swipe. */
const SWIPE_PX = 24;

/** The direction in which a finger has moved since it came down; null if that is no swipe, or not yet. */
export function swipeOf(start: Point | null, now: Point): 'left' | 'right' | null {
  if (!start) return null;
  const [right, down] = [now.x - start.x, now.y - start.y];
  if (Math.abs(right) < SWIPE_PX || Math.abs(right) < 2 * Math.abs(down)) return null;
  return right < 0 ? 'left' : 'right';
}
