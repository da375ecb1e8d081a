// Gathers letters into batches as imserver's src/store/batcher.rs does: what arrives while one batch is being
// committed is the next one, and under load a batch waits a little for more.
import { MOST_WAITING, Refused } from './store.js';

/** @import { Kept, Letter } from './store.js' */

const MOST_OF_BATCH = 500;
/** Under load a batch waits at most so many milliseconds for more; one for each letter of it or of the last. */
const LINGER = 10;
/** So many letters that came during one commit are load, and so it stays while batches are twice as large. */
const LOAD = 6;
/** It is not worth while to wait for more. */
const ENOUGH = 100;

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
  #last = 0;
  /**
   * Called when there are enough.
   * @type {(() => void) | undefined}
   */
  #hasEnough;

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
        if (this.#jobs.length >= ENOUGH) this.#hasEnough?.();
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
      const isLoad = Math.max(this.#jobs.length, this.#last / 2) >= LOAD;
      if (isLoad && this.#jobs.length < ENOUGH) await this.#linger(Math.max(this.#jobs.length, this.#last));
      const batch = this.#jobs.splice(0, MOST_OF_BATCH);
      this.#last = batch.length;
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

  /** @param {number} most milliseconds */
  async #linger(most) {
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.min(most, LINGER));
      this.#hasEnough = () => {
        clearTimeout(timer);
        resolve(undefined);
      };
    });
    this.#hasEnough = undefined;
  }
}
