// Keeps each chat by an INSERT of its own: what most servers do.
import pg from 'pg';

import { MOST_WAITING, Refused } from './store.js';

/** @import { Kept, Letter, Page, Row, Store } from './store.js' */

/**
 * Connections of a process. Commits on several are written to the disk together; README.md has what other
 * sizes gave.
 */
const POOL = 16;

// One table, without what a chat does not need: no unique key, no rows for a timeline. The index is what
// paging through the chats of two people takes.
const SCHEMA = `
  SELECT pg_advisory_xact_lock(1);
  CREATE TABLE IF NOT EXISTS chats (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sender_id BIGINT NOT NULL,
    target_id BIGINT NOT NULL,
    client_msg_id TEXT NOT NULL,
    content TEXT NOT NULL,
    created_at BIGINT NOT NULL DEFAULT floor(extract(epoch FROM clock_timestamp()) * 1000)
  );
  CREATE INDEX IF NOT EXISTS chats_by_pair ON chats (sender_id, target_id, id);
`;

// For reading back, and made then: a load is not charged for it.
const INDEX = `
  SELECT pg_advisory_xact_lock(1);
  CREATE INDEX IF NOT EXISTS chats_by_target ON chats (target_id, id);
`;

const INSERT = `INSERT INTO chats (sender_id, target_id, client_msg_id, content) VALUES ($1, $2, $3, $4)
  RETURNING id, created_at`;

/** @implements {Store} */
export class InsertStore {
  /** @type {pg.Pool} */
  #pool;
  /** @type {Map<number, Promise<unknown>>} the last chat of each sender who has some under way */
  #last = new Map();
  #waiting = 0;
  /** @type {Promise<unknown> | undefined} */
  #index;

  /** @param {pg.Pool} pool */
  constructor(pool) {
    this.#pool = pool;
  }

  /** @param {string} databaseUrl */
  static async open(databaseUrl) {
    pg.types.setTypeParser(pg.types.builtins.INT8, Number);
    const pool = new pg.Pool({ connectionString: databaseUrl, max: POOL, idleTimeoutMillis: 0 });
    pool.on('error', (error) => {
      console.error('a connection to Postgres was lost:', error.message);
    });
    await pool.query(SCHEMA);
    return new InsertStore(pool);
  }

  async join() {
    // Whoever comes is a user.
  }

  /**
   * @param {Letter} letter
   * @returns {Promise<Kept>}
   */
  async append(letter) {
    if (this.#waiting >= MOST_WAITING) throw new Refused('overloaded');
    this.#waiting += 1;
    // Two of one sender on two connections could overtake each other.
    const before = this.#last.get(letter.sender);
    const insert = () => this.#insert(letter);
    const kept = before ? before.then(insert, insert) : insert();
    this.#last.set(letter.sender, kept);
    try {
      return await kept;
    } finally {
      this.#waiting -= 1;
      if (this.#last.get(letter.sender) === kept) this.#last.delete(letter.sender);
    }
  }

  /** @param {Letter} letter */
  async #insert({ sender, target, key, content }) {
    /** @type {pg.QueryResult<{ id: number, created_at: number }>} */
    const { rows } = await this.#pool.query({ name: 'insert', text: INSERT, values: [sender, target, key, content] });
    const row = rows[0];
    if (!row) throw new Error('an INSERT returned nothing');
    return { id: row.id, time: row.created_at };
  }

  /**
   * @param {number} user
   * @param {number} after an id
   * @param {number} limit
   * @returns {Promise<Page>}
   */
  async readBack(user, after, limit) {
    this.#index ??= this.#pool.query(INDEX);
    await this.#index;
    /** @type {pg.QueryResult<Row>} */
    const { rows } = await this.#pool.query({
      name: 'read-back',
      text: `SELECT id, sender_id AS "from", target_id AS "to", client_msg_id AS key, content FROM chats
        WHERE id > $2 AND (sender_id = $1 OR target_id = $1) ORDER BY id LIMIT $3`,
      values: [user, after, limit],
    });
    return { chats: rows, next: rows.length === limit ? (rows.at(-1)?.id ?? null) : null };
  }

  async close() {
    await this.#pool.end();
  }
}
