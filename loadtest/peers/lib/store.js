// What the servers know of chats, whatever keeps them.

/**
 * A chat that is to be kept.
 * @typedef {object} Letter
 * @property {number} sender
 * @property {number} target
 * @property {string} key the client's own name for it
 * @property {string} content
 */

/**
 * A chat that is committed.
 * @typedef {object} Kept
 * @property {number} id
 * @property {number} time milliseconds since 1970
 * @property {number} [seq] its number among what the sender has
 * @property {number} [targetSeq] its number among what the target has
 * @property {boolean} [isRepeat] it was kept before, and shown
 */

/**
 * A chat that is read back.
 * @typedef {object} Row
 * @property {number} id
 * @property {number} from
 * @property {number} to
 * @property {string} key
 * @property {string} content
 * @property {number} [seq]
 */

/**
 * A part of what a user has. `next` is what the next page is after; null: there is none.
 * @typedef {{ chats: Row[], next: number | null }} Page
 */

/**
 * `append` is done when the chat is committed; the chats of one sender are kept in the order of the calls.
 * @typedef {object} Store
 * @property {(user: number) => Promise<void>} join called before a socket of the user is ready
 * @property {(letter: Letter) => Promise<Kept>} append
 * @property {(user: number, after: number, limit: number) => Promise<Page>} readBack
 * @property {() => Promise<void>} close
 */

/** The most chats that wait; more are refused. As many as in a replica of imserver. */
export const MOST_WAITING = 8192;

/** A chat was not kept, and may be sent again. */
export class Refused extends Error {
  /** @param {string} code */
  constructor(code) {
    super(code);
    this.code = code;
  }
}

/**
 * A chat as a client sent it, or undefined if it is none.
 * @param {unknown} message
 * @param {number} sender
 * @returns {Letter | undefined}
 */
export function letterOf(message, sender) {
  if (typeof message !== 'object' || message === null) return undefined;
  const { key, to, content } = /** @type {Record<string, unknown>} */ (message);
  if (typeof key !== 'string' || typeof content !== 'string' || content === '') return undefined;
  if (typeof to !== 'number' || !Number.isSafeInteger(to) || to < 1) return undefined;
  return { sender, target: to, key, content };
}

/**
 * What the target is shown.
 * @param {Letter} letter
 * @param {Kept} kept
 */
export function eventOf({ sender, target, key, content }, { id, time, targetSeq }) {
  return { id, from: sender, to: target, key, content, time, seq: targetSeq };
}

/**
 * Why a chat was not kept, in a word for the client.
 * @param {unknown} error
 */
export function codeOf(error) {
  if (error instanceof Refused) return error.code;
  console.error('a chat was not kept:', error);
  return 'unavailable';
}
