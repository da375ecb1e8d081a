-- What has happened, in the order in which each conversation saw it, for readers that keep a cursor each:
-- webhooks, feeds. A row is written in the transaction of what it tells.

-- Not cached, for the order: see chat_ids.
CREATE SEQUENCE outbox_ids AS BIGINT MAXVALUE 9007199254740991 CACHE 1;

CREATE TABLE outbox (
    -- The transaction that wrote the row. Defaults are taken in the order of the columns: a transaction
    -- has its number before it draws an id. Readers rely on that, and on ids that are drawn after the locks
    -- of what the row tells; so neither is ever named in an INSERT.
    xid XID8 NOT NULL DEFAULT pg_current_xact_id(),
    id BIGINT NOT NULL DEFAULT nextval('outbox_ids'),
    kind TEXT COLLATE "C" NOT NULL,
    conversation_id BIGINT,
    -- The chat that it is about, whose row says the rest.
    chat_id BIGINT,
    -- What no other row says: a JSON object.
    payload TEXT,
    created_at BIGINT NOT NULL DEFAULT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint,
    CONSTRAINT outbox_pkey PRIMARY KEY (id),
    CONSTRAINT outbox_payload_size CHECK (octet_length(payload) <= 65536)
) WITH (
    -- Rows are added at one end and dropped at the other.
    autovacuum_vacuum_insert_threshold = 100000,
    autovacuum_vacuum_insert_scale_factor = 0.02,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_analyze_scale_factor = 0.02
);

-- For rows of transactions that were under way when a reader last looked.
CREATE INDEX outbox_by_xid ON outbox (xid, id);

-- Work that one replica at a time does.
CREATE TABLE jobs (
    name TEXT COLLATE "C" PRIMARY KEY,
    -- The start of a replica that has it.
    holder BIGINT NOT NULL,
    -- Whoever comes after this time may take it.
    until BIGINT NOT NULL,
    -- How far it has come, in words of its own; empty before the beginning.
    progress TEXT NOT NULL
) WITH (fillfactor = 50);

-- The first round of trimming: a day later, when no replica of the version before, which reads the legacy
-- snapshots from timelines, runs any more, and going back to it costs nothing.
INSERT INTO jobs (name, holder, until, progress)
VALUES ('timelines.trim', 0, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint + 86400000, '');

-- Whether chats are written into the outbox: said here, and not in the settings of each replica, of which
-- some would write and others not while a change of settings rolls.
ALTER TABLE service ADD COLUMN outbox_enabled BOOLEAN NOT NULL DEFAULT false;
