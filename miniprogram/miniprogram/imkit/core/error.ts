// The one error that calls of the client reject with.

/** An HTTP call that did not succeed. */
export class ImError extends Error {
  override readonly name = 'ImError';

  constructor(
    /** A code of the protocol, `network` if no answer came, `too_many_calls` or `unreadable_answer`. */
    readonly code: string,
    /** The HTTP status; 0 without an answer. */
    readonly status: number,
    /** When the call may be repeated; null: not at all. */
    readonly retryAfterMs: number | null,
  ) {
    super(code);
  }
}
