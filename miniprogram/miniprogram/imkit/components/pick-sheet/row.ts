// A line of the sheet to pick from.

/** Somebody, or a conversation. */
export interface PickRow {
  /** Comes back with `choose`. */
  readonly key: string;
  readonly name: string;
  readonly avatarUrl: string;
  /** The number that chooses the colour behind a letter. */
  readonly hue: number;
}
