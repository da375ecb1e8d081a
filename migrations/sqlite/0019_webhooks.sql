-- Deliveries of webhooks that did not succeed at once. An entry is here from its first failure until it is
-- delivered, and so is each later one of its lane: a conversation, a user, or else a kind.

CREATE TABLE webhook_deliveries (
    -- What the endpoint is called in the settings.
    endpoint TEXT NOT NULL,
    -- That of the entry in the outbox, of which this is a copy down to `created_at`.
    id INTEGER NOT NULL,
    kind TEXT NOT NULL,
    conversation_id INTEGER,
    chat_id INTEGER,
    payload TEXT,
    created_at INTEGER NOT NULL,
    lane TEXT NOT NULL,
    -- 'due', or 'dead' once it is not tried any more.
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    -- When it is tried next, once it is the first of its lane.
    next_at INTEGER NOT NULL,
    -- What came of the last attempt, in words of the service.
    failure TEXT,
    -- Since when it is here, or was last asked for again.
    parked_at INTEGER NOT NULL,
    CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (endpoint, id)
) STRICT, WITHOUT ROWID;

-- The first of each lane.
CREATE INDEX webhook_lanes ON webhook_deliveries (endpoint, lane, id) WHERE state = 'due';

-- Endpoints that have said that they are gone.
CREATE TABLE webhook_switched_off (
    endpoint TEXT NOT NULL PRIMARY KEY,
    -- Of the URL that said so; another one is another endpoint.
    url_digest TEXT NOT NULL,
    since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
