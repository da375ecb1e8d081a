// Gathers letters into batches as imserver's src/store/batcher.rs does: what arrives while one batch is being
// committed is the next one, and under load a batch waits a little for more.
import { MOST_WAITING, Refused } from './store.js';

/** @import { Kept, Letter } from './store.js' */

const MOST_OF_BATCH = 500;
/** Under load a batch waits so many milliseconds for more. */
const LINGER = 2;
/** So many letters that came during one commit are load. */
const LOAD = 4;

/**
 * @typedef {object} Job
 * @property {Letter} letter
 * @property {(kept: Kept) => void} resolve
 * @property {(error: unknown) => void} reject
 */

/**
 * Commits a batch. What becomes of each letter, in their order.
 * @typedef {(letters: Letter[]) => Promise<(Kept | Refused)[]>} Commit
 */

export class GroupCommit {
  /** @type {Job[]} */
  #jobs = [];
  #commit;
  #isRunning = false;

  /** @param {Commit} commit */
  constructor(commit) {
    this.#commit = commit;
  }

  /**
   * @param {Letter} letter
   * @returns {Promise<Kept>}
   */
  append(letter) {
    if (this.#jobs.length >= MOST_WAITING) return Promise.reject(new Refused('overloaded'));
    const kept = /** @type {Promise<Kept>} */ (
      new Promise((resolve, reject) => {
        this.#jobs.push({ letter, resolve, reject });
      })
    );
    // `run` never fails.
    if (!this.#isRunning) void this.#run();
    return kept;
  }

  async #run() {
    this.#isRunning = true;
    // What one read of the sockets brings is one batch.
    await new Promise(setImmediate);
    while (this.#jobs.length > 0) {
      if (this.#jobs.length >= LOAD && this.#jobs.length < MOST_OF_BATCH) {
        await new Promise((resolve) => setTimeout(resolve, LINGER));
      }
      const batch = this.#jobs.splice(0, MOST_OF_BATCH);
      try {
        const answers = await this.#commit(batch.map((job) => job.letter));
        batch.forEach(({ resolve, reject }, place) => {
          const answer = answers[place] ?? new Refused('unavailable');
          if (answer instanceof Refused) reject(answer);
          else resolve(answer);
        });
      } catch (error) {
        console.error('a batch was not committed:', error);
        for (const job of batch) job.reject(new Refused('unavailable'));
      }
    }
    this.#isRunning = false;
  }
}
