// Whether a list has to scroll so that what is on the screen stays there, or the platform has done so. Knows no list.

/** Pixels from its beginning within which a list may have been at it just now. */
const NEAR_TOP_PX = 50;

/** A list that has moved by less is at rest. */
const AT_REST_PX = 2;

/** A page that stays drawn while others come and go, and where it was. */
export interface Anchor {
  readonly id: number;
  readonly side: 'top' | 'bottom';
  readonly at: number;
  readonly scrollTop: number;
}

/**
 * How many pixels the list has to scroll, and whether the platform is known to do so by itself. Both what the user scrolled
 * and what came above the anchor move it on the screen; only what came above moves it in the list.
 */
export function hold(
  anchor: Anchor,
  rect: { readonly top: number; readonly bottom: number },
  { scrollTop }: { readonly scrollTop: number },
  isAnchored: boolean,
): { readonly pixels: number; readonly isAnchored: boolean } {
  const scrolled = scrollTop - anchor.scrollTop;
  const grown = rect[anchor.side] + scrollTop - anchor.at - anchor.scrollTop;
  // What is left is what the user has scrolled.
  const [held, loose] = [Math.abs(scrolled - grown), Math.abs(scrolled)];
  // Fractions of a pixel are rounding.
  if (Math.abs(grown) < 1) return { pixels: 0, isAnchored };
  // At its beginning no platform anchors a list.
  if (Math.min(scrollTop, anchor.scrollTop) < NEAR_TOP_PX) return { pixels: held <= loose ? 0 : grown, isAnchored };
  // A list at rest shows it. While the user scrolls, one cannot tell.
  const isNow = Math.min(held, loose) < AT_REST_PX ? held <= loose : isAnchored;
  return { pixels: isNow ? 0 : grown, isAnchored: isNow };
}
