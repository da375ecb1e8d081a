// Draws only while the page is on the screen: what changes meanwhile is drawn once, when the page is shown again.

export interface Drawing {
  /** Draws now, or when the page is shown. */
  readonly draw: () => void;
  readonly show: () => void;
  readonly hide: () => void;
}

/** Nothing is drawn yet. */
export const NO_DRAWING: Drawing = { draw: () => undefined, show: () => undefined, hide: () => undefined };

export function createDrawing(draw: () => void): Drawing {
  let isHidden = false;
  let isDue = false;
  return {
    draw: () => {
      if (isHidden) isDue = true;
      else draw();
    },
    show: () => {
      isHidden = false;
      if (isDue) draw();
      isDue = false;
    },
    hide: () => {
      isHidden = true;
    },
  };
}
