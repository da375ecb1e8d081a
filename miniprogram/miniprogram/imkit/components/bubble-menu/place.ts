// Where the menu of a bubble is drawn: above it if there is room, otherwise below it, otherwise over it.

/** A rectangle on the screen, in pixels. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

export interface Place {
  /** The corner of the panel, from that of the screen. */
  readonly left: number;
  readonly top: number;
  /** The middle of the arrow, from the left side of the panel. */
  readonly arrow: number;
  readonly isAbove: boolean;
}

/** Pixels between the panel and the bubble: the arrow is in there. */
const GAP_PX = 10;

/** Pixels between the panel and the edge of the screen. */
const EDGE_PX = 8;

/** Pixels from the corner of the panel to the middle of an arrow. */
const CORNER_PX = 16;

export function place(bubble: Box, panel: Box, screen: Box): Place {
  const [width, height] = [panel.right - panel.left, panel.bottom - panel.top];
  const middle = (bubble.left + bubble.right) / 2;
  const left = within(middle - width / 2, screen.left + EDGE_PX, screen.right - EDGE_PX - width);
  const above = bubble.top - GAP_PX - height;
  const below = bubble.bottom + GAP_PX;
  const isAbove = above >= screen.top + EDGE_PX || below + height > screen.bottom - EDGE_PX;
  // Of a chat that is higher than the screen, the menu is at the upper part that shows.
  const top = within(isAbove ? above : below, screen.top + EDGE_PX, screen.bottom - EDGE_PX - height);
  const arrow = within(middle - left, CORNER_PX, width - CORNER_PX);
  return { left: left - screen.left, top: top - screen.top, arrow, isAbove };
}

/** The least bound wins where the bounds cross. */
function within(value: number, least: number, most: number): number {
  return Math.max(least, Math.min(value, most));
}
