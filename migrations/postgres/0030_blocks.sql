-- Who may not write: users who blocked each other, users who are muted or banned, what people report; and
-- which conversations the server API made. Tables, and a column with a constant default: no row is rewritten.

CREATE TABLE blocks (
    blocker_id BIGINT NOT NULL,
    blocked_id BIGINT NOT NULL,
    -- The blocker's read mark in their direct conversation at that time: the other side is shown no later one.
    read_up_to BIGINT,
    created_at BIGINT NOT NULL,
    CONSTRAINT blocks_pkey PRIMARY KEY (blocker_id, blocked_id)
);

CREATE INDEX blocks_by_blocked ON blocks (blocked_id);

-- What a user may not do. One row for each user: a new restriction replaces the one before.
CREATE TABLE restrictions (
    user_id BIGINT NOT NULL,
    -- 'muted' or 'banned'.
    kind TEXT COLLATE "C" NOT NULL,
    -- When it ends by itself; NULL: never.
    until BIGINT,
    -- For whoever reads the table.
    reason TEXT,
    created_at BIGINT NOT NULL,
    CONSTRAINT restrictions_pkey PRIMARY KEY (user_id)
);

-- When a block or the restriction of a user last changed: replicas keep both in memory, and read here whom
-- they must ask about anew. A row for each user whom it ever concerned.
CREATE TABLE standing_changes (
    user_id BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    CONSTRAINT standing_changes_pkey PRIMARY KEY (user_id)
) WITH (fillfactor = 70);

CREATE INDEX standing_changes_by_time ON standing_changes (changed_at);

CREATE TABLE reports (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    reporter_id BIGINT NOT NULL,
    reported_id BIGINT NOT NULL,
    -- The chat that was reported; NULL: the user.
    chat_id BIGINT,
    -- The chat as it was then: JSON.
    chat TEXT,
    -- 'spam', 'abuse', 'porn', 'fraud' or 'other'.
    reason TEXT COLLATE "C" NOT NULL,
    detail TEXT,
    created_at BIGINT NOT NULL,
    -- What was done about it; NULL while nothing was.
    outcome TEXT COLLATE "C",
    CONSTRAINT reports_pkey PRIMARY KEY (id)
);

CREATE INDEX reports_open ON reports (id) WHERE outcome IS NULL;

-- An erasure takes their words.
CREATE INDEX reports_by_reporter ON reports (reporter_id);
CREATE INDEX reports_by_reported ON reports (reported_id);

-- Whether the server API made it: with chat.who_may_write = "conversations" nobody writes in any other.
ALTER TABLE conversations ADD COLUMN is_managed BOOLEAN NOT NULL DEFAULT false;
