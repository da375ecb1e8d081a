-- Who may not write: users who blocked each other, users who are muted or banned, what people report; and
-- which conversations the server API made.

CREATE TABLE blocks (
    blocker_id INTEGER NOT NULL,
    blocked_id INTEGER NOT NULL,
    -- The blocker's read mark in their direct conversation at that time: the other side is shown no later one.
    read_up_to INTEGER,
    created_at INTEGER NOT NULL,
    CONSTRAINT blocks_pkey PRIMARY KEY (blocker_id, blocked_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX blocks_by_blocked ON blocks (blocked_id);

-- What a user may not do. One row for each user: a new restriction replaces the one before.
CREATE TABLE restrictions (
    user_id INTEGER PRIMARY KEY,
    -- 'muted' or 'banned'.
    kind TEXT NOT NULL,
    -- When it ends by itself; NULL: never.
    until INTEGER,
    -- For whoever reads the table.
    reason TEXT,
    created_at INTEGER NOT NULL
) STRICT;

-- When a block or the restriction of a user last changed: replicas keep both in memory, and read here whom
-- they must ask about anew. A row for each user whom it ever concerned.
CREATE TABLE standing_changes (
    user_id INTEGER PRIMARY KEY,
    changed_at INTEGER NOT NULL
) STRICT;

CREATE INDEX standing_changes_by_time ON standing_changes (changed_at);

CREATE TABLE reports (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    reporter_id INTEGER NOT NULL,
    reported_id INTEGER NOT NULL,
    -- The chat that was reported; NULL: the user.
    chat_id INTEGER,
    -- The chat as it was then: JSON.
    chat TEXT,
    -- 'spam', 'abuse', 'porn', 'fraud' or 'other'.
    reason TEXT NOT NULL,
    detail TEXT,
    created_at INTEGER NOT NULL,
    -- What was done about it; NULL while nothing was.
    outcome TEXT
) STRICT;

CREATE INDEX reports_open ON reports (id) WHERE outcome IS NULL;

-- An erasure takes their words.
CREATE INDEX reports_by_reporter ON reports (reporter_id);
CREATE INDEX reports_by_reported ON reports (reported_id);

-- Whether the server API made it: with chat.who_may_write = "conversations" nobody writes in any other.
ALTER TABLE conversations ADD COLUMN is_managed INTEGER NOT NULL DEFAULT 0;
