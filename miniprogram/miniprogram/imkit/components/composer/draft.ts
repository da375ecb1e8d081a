// Edits of a draft by the emoji panel.

export interface Draft {
  readonly text: string;
  /** In UTF-16 units, as the phone counts. */
  readonly cursor: number;
}

/** Inserts something at the cursor; null is the end. */
export function insert(text: string, cursor: number | null, piece: string): Draft {
  const at = Math.min(cursor ?? text.length, text.length);
  return { text: text.slice(0, at) + piece + text.slice(at), cursor: at + piece.length };
}

/** Removes the character before the cursor: all of an emoji, not half of it. */
export function removeBefore(text: string, cursor: number | null): Draft {
  const at = Math.min(cursor ?? text.length, text.length);
  const kept = Array.from(text.slice(0, at)).slice(0, -1).join('');
  return { text: kept + text.slice(at), cursor: kept.length };
}
