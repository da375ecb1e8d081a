// Keeps chats in batches, in imserver's own tables and with statements like its own: a chat, two events and
// two counters each. See src/store/postgres/append_fast.rs.
import { readFile, readdir } from 'node:fs/promises';

import pg from 'pg';

import { GroupCommit } from './group-commit.js';
import { Refused } from './store.js';

/** @import { Kept, Letter, Page, Row, Store } from './store.js' */

/** What imserver asks its connection for, and why: src/store/postgres/connect.rs. */
const SETTINGS = [
  'enable_seqscan=off',
  'enable_hashjoin=off',
  'enable_mergejoin=off',
  'jit=off',
  'plan_cache_mode=force_generic_plan',
];

const MIGRATIONS = new URL('../../../migrations/postgres/', import.meta.url);

/**
 * A prepared statement, and what its rows are.
 * @template R
 * @typedef {{ name: string, text: string, rows?: R[] }} Statement
 */

/** @type {Statement<{ id: number, last: number }>} */
const LOCK = {
  name: 'lock',
  text: `SELECT user_id AS id, last_seq AS last FROM timelines WHERE user_id = ANY($1::bigint[])
    ORDER BY user_id FOR NO KEY UPDATE`,
};

/** @type {Statement<{ sender: number, key: string, id: number, seq: number, time: number }>} */
const EARLIER = {
  name: 'earlier',
  text: `SELECT c.sender_id AS sender, c.client_msg_id AS key, c.id, c.sender_seq AS seq, c.created_at AS time
    FROM unnest($1::bigint[], $2::text[]) k (sender_id, client_msg_id)
    JOIN chats c ON c.sender_id = k.sender_id AND c.client_msg_id = k.client_msg_id`,
};

/** @type {Statement<{ now: number, ids: string, conversations: string }>} */
const RESERVE = {
  name: 'reserve',
  text: `SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now,
    ARRAY(SELECT nextval('chat_ids') FROM generate_series(1, $3::bigint))::text AS ids,
    ARRAY(SELECT v.id FROM unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY p (low, high, place)
      LEFT JOIN LATERAL (SELECT id FROM conversations
        WHERE kind = 'direct' AND low_user = p.low AND high_user = p.high LIMIT 1) v ON true
      ORDER BY p.place)::text AS conversations`,
};

/** @type {Statement<{ id: number, low: number, high: number }>} */
const BEGIN_CONVERSATIONS = {
  name: 'begin-conversations',
  text: `WITH made AS (
      INSERT INTO conversations (kind, low_user, high_user, created_at)
      SELECT 'direct', low, high, $3::bigint FROM unnest($1::bigint[], $2::bigint[]) p (low, high)
      RETURNING id, low_user, high_user
    ), joined AS (
      INSERT INTO members (conversation_id, user_id)
      SELECT id, low_user FROM made UNION SELECT id, high_user FROM made
    )
    SELECT id, low_user AS low, high_user AS high FROM made`,
};

/** @type {Statement<never>} */
const WRITE = {
  name: 'write',
  text: `WITH chat AS (
      INSERT INTO chats (id, conversation_id, sender_id, sender_seq, client_msg_id, content, kind, created_at)
      SELECT n.*, 'text', $7::bigint
      FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[]) n
    ), event AS (
      INSERT INTO timeline_events (user_id, seq, kind, chat_id)
      SELECT n.user_id, n.seq, 'chat', n.chat_id
      FROM unnest($8::bigint[], $9::bigint[], $10::bigint[]) n (user_id, seq, chat_id)
    )
    UPDATE timelines t SET last_seq = n.last_seq
    FROM unnest($11::bigint[], $12::bigint[]) n (user_id, last_seq) WHERE t.user_id = n.user_id`,
};

/** @type {Statement<never>} */
const JOIN = {
  name: 'join',
  text: `WITH made AS (
      INSERT INTO users (id, name, created_at) VALUES ($1, $2, 0) ON CONFLICT (id) DO NOTHING RETURNING id
    )
    INSERT INTO timelines (user_id, first_seq, last_seq) SELECT id, 1, 0 FROM made`,
};

/** @type {Statement<Row>} */
const READ_BACK = {
  name: 'read-back',
  text: `SELECT e.seq, c.id, c.sender_id AS "from", v.low_user + v.high_user - c.sender_id AS "to",
      c.client_msg_id AS key, c.content
    FROM timeline_events e JOIN chats c ON c.id = e.chat_id JOIN conversations v ON v.id = c.conversation_id
    WHERE e.user_id = $1 AND e.seq > $2 ORDER BY e.seq LIMIT $3`,
};

/** @implements {Store} */
export class BatchStore {
  /** Batches, one after the other. What needs no answer first is sent at once: the driver pipelines. */
  #writer;
  #others;
  #batches = new GroupCommit((letters) => this.#commit(letters));

  /**
   * @param {pg.Client} writer
   * @param {pg.Pool} others
   */
  constructor(writer, others) {
    this.#writer = writer;
    this.#others = others;
  }

  /** @param {string} databaseUrl */
  static async open(databaseUrl) {
    pg.types.setTypeParser(pg.types.builtins.INT8, Number);
    const options = SETTINGS.map((setting) => `-c ${setting}`).join(' ');
    const writer = new pg.Client({ connectionString: databaseUrl, pipeline: true, options });
    const others = new pg.Pool({ connectionString: databaseUrl, max: 4 });
    const onError = (/** @type {Error} */ error) => {
      console.error('a connection to Postgres was lost:', error.message);
    };
    writer.on('error', onError);
    others.on('error', onError);
    await writer.connect();
    await migrate(writer);
    return new BatchStore(writer, others);
  }

  /** @param {number} user */
  async join(user) {
    await this.#others.query({ ...JOIN, values: [user, `user ${user}`] });
  }

  /**
   * @param {Letter} letter
   * @returns {Promise<Kept>}
   */
  append(letter) {
    return this.#batches.append(letter);
  }

  /**
   * @param {Letter[]} letters
   * @returns {Promise<(Kept | Refused)[]>}
   */
  async #commit(letters) {
    try {
      return await this.#transaction(letters);
    } catch (error) {
      await this.#writer.query('ROLLBACK').catch(() => undefined);
      throw error;
    }
  }

  /**
   * @param {Letter[]} letters
   * @returns {Promise<(Kept | Refused)[]>}
   */
  async #transaction(letters) {
    const users = [...new Set(letters.flatMap(({ sender, target }) => [sender, target]))].sort((a, b) => a - b);
    const pairs = [...new Map(letters.map((letter) => [pairOf(letter), ends(letter)])).entries()];
    // Sent in one go. They run in turn, so what follows the locks sees what was committed before them.
    const [, locked, earlier, reserved] = await Promise.all([
      this.#writer.query('BEGIN'),
      this.#query(LOCK, [users]),
      this.#query(EARLIER, [letters.map(({ sender }) => sender), letters.map(({ key }) => key)]),
      this.#query(RESERVE, [
        pairs.map(([, { low }]) => low),
        pairs.map(([, { high }]) => high),
        letters.length,
      ]),
    ]);
    /** @type {Map<number, number>} */
    const last = new Map(locked.map(({ id, last }) => [id, last]));
    /** @type {Map<string, Kept>} */
    const known = new Map(
      earlier.map(({ sender, key, ...kept }) => [`${sender} ${key}`, { ...kept, isRepeat: true }]),
    );
    if (!reserved[0]) throw new Error('a SELECT without a table returned nothing');
    const { now } = reserved[0];
    const [ids, found] = [numbers(reserved[0].ids), numbers(reserved[0].conversations)];
    /** @type {Map<string, number | null>} */
    const conversations = new Map(pairs.map(([pair], place) => [pair, found[place] ?? null]));

    /** @type {Map<string, { low: number, high: number }>} */
    const missing = new Map();
    /** @type {{ letter: Letter, kept: Kept }[]} */
    const fresh = [];
    /** @type {{ user: number, seq: number, chat: number }[]} */
    const events = [];
    const answers = letters.map((letter) => {
      const name = `${letter.sender} ${letter.key}`;
      const before = known.get(name);
      if (before) return before;
      const [senderLast, targetLast] = [last.get(letter.sender), last.get(letter.target)];
      if (senderLast === undefined || targetLast === undefined) return new Refused('target_not_found');
      const id = ids[fresh.length];
      if (!id) throw new Error('fewer ids than chats');
      const seq = senderLast + 1;
      // A chat with oneself is one event.
      const targetSeq = letter.target === letter.sender ? seq : targetLast + 1;
      const kept = { id, time: now, seq, targetSeq };
      last.set(letter.sender, seq).set(letter.target, targetSeq);
      events.push({ user: letter.sender, seq, chat: id });
      if (letter.target !== letter.sender) events.push({ user: letter.target, seq: targetSeq, chat: id });
      if (conversations.get(pairOf(letter)) === null) missing.set(pairOf(letter), ends(letter));
      known.set(name, { ...kept, isRepeat: true });
      fresh.push({ letter, kept });
      return kept;
    });
    if (fresh.length === 0) {
      await this.#writer.query('ROLLBACK');
      return answers;
    }
    if (missing.size > 0) {
      const wanted = [...missing.values()];
      const made = await this.#query(BEGIN_CONVERSATIONS, [
        wanted.map(({ low }) => low),
        wanted.map(({ high }) => high),
        now,
      ]);
      for (const { id, low, high } of made) conversations.set(`${low} ${high}`, id);
    }
    // In ascending id, as they were locked.
    const moved = users.filter((user) => last.has(user));
    await Promise.all([
      this.#query(WRITE, [
        fresh.map(({ kept }) => kept.id),
        fresh.map(({ letter }) => conversations.get(pairOf(letter))),
        fresh.map(({ letter }) => letter.sender),
        fresh.map(({ kept }) => kept.seq),
        fresh.map(({ letter }) => letter.key),
        fresh.map(({ letter }) => letter.content),
        now,
        events.map(({ user }) => user),
        events.map(({ seq }) => seq),
        events.map(({ chat }) => chat),
        moved,
        moved.map((user) => last.get(user)),
      ]),
      this.#writer.query('COMMIT'),
    ]);
    return answers;
  }

  /**
   * @template R
   * @param {Statement<R>} statement
   * @param {unknown[]} values
   * @returns {Promise<R[]>}
   */
  async #query({ name, text }, values) {
    /** @type {{ rows: unknown[] }} */
    const { rows } = await this.#writer.query({ name, text, values });
    return /** @type {R[]} */ (rows);
  }

  /**
   * @param {number} user
   * @param {number} after a number of the timeline
   * @param {number} limit
   * @returns {Promise<Page>}
   */
  async readBack(user, after, limit) {
    /** @type {pg.QueryResult<Row>} */
    const { rows } = await this.#others.query({ ...READ_BACK, values: [user, after, limit] });
    return { chats: rows, next: rows.length === limit ? (rows.at(-1)?.seq ?? null) : null };
  }

  async close() {
    await Promise.all([this.#writer.end(), this.#others.end()]);
  }
}

/**
 * Makes imserver's tables where they are not yet.
 * @param {pg.Client} client
 */
async function migrate(client) {
  await client.query('BEGIN; SELECT pg_advisory_xact_lock(1)');
  /** @type {pg.QueryResult<{ found: string | null }>} */
  const { rows } = await client.query(`SELECT to_regclass('public.chats')::text AS found`);
  if (!rows[0]?.found) {
    for (const file of (await readdir(MIGRATIONS)).sort()) {
      // Nobody writes yet who would have to wait for an index, and so all is one transaction.
      const migration = await readFile(new URL(file, MIGRATIONS), 'utf8');
      await client.query(migration.replaceAll(' CONCURRENTLY', ''));
    }
  }
  await client.query('COMMIT');
}

/** @param {Letter} letter */
function ends({ sender, target }) {
  return { low: Math.min(sender, target), high: Math.max(sender, target) };
}

/** @param {Letter} letter */
function pairOf(letter) {
  const { low, high } = ends(letter);
  return `${low} ${high}`;
}

/**
 * An array of numbers and NULLs, as Postgres writes it; the driver's own reading is for any array, and slower.
 * @param {string} array
 * @returns {(number | null)[]}
 */
function numbers(array) {
  const items = /** @type {unknown} */ (JSON.parse(`[${array.slice(1, -1).replaceAll('NULL', 'null')}]`));
  return /** @type {(number | null)[]} */ (items);
}
