-- What has happened, in the order in which each conversation saw it, for readers that keep a cursor each:
-- webhooks, feeds. A row is written in the transaction of what it tells.

CREATE TABLE outbox (
    -- There is one writer, so ids become visible in their order. An id of a dropped row does not come back.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    conversation_id INTEGER,
    -- The chat that it is about, whose row says the rest.
    chat_id INTEGER,
    -- What no other row says: a JSON object.
    payload TEXT,
    created_at INTEGER NOT NULL,
    CONSTRAINT outbox_payload_size CHECK (octet_length(payload) <= 65536)
) STRICT;

-- Work that one replica at a time does.
CREATE TABLE jobs (
    name TEXT NOT NULL PRIMARY KEY,
    -- The start of a replica that has it.
    holder INTEGER NOT NULL,
    -- Whoever comes after this time may take it.
    until INTEGER NOT NULL,
    -- How far it has come, in words of its own; empty before the beginning.
    progress TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The first round of trimming: a day later, when no replica of the version before, which reads the legacy
-- snapshots from timelines, runs any more, and going back to it costs nothing.
INSERT INTO jobs (name, holder, until, progress)
VALUES ('timelines.trim', 0, (unixepoch() + 86400) * 1000, '');

-- Whether chats are written into the outbox.
ALTER TABLE service ADD COLUMN outbox_enabled INTEGER NOT NULL DEFAULT 0;
