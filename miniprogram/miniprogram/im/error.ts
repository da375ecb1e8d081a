// The one error that calls of the client reject with.

/** An HTTP call that did not succeed. */
export class ImError extends Error {
  override readonly name = 'ImError';

  constructor(
    /** A code of the protocol, or `network`: no answer; `too_many_calls`; `unreadable_answer`. */
    readonly code: string,
    /** The HTTP status; 0 without an answer. */
    readonly status: number,
    /** When it may be repeated; null: not at all. */
    readonly retryAfterMs: number | null,
  ) {
    super(code);
  }
}
