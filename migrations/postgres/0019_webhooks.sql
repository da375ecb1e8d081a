-- Deliveries of webhooks that did not succeed at once. An entry is here from its first failure until it is
-- delivered, and so is each later one of its lane: a conversation, a user, or else a kind.

CREATE TABLE webhook_deliveries (
    -- What the endpoint is called in the settings.
    endpoint TEXT COLLATE "C" NOT NULL,
    -- That of the entry in the outbox, of which this is a copy down to `created_at`.
    id BIGINT NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    conversation_id BIGINT,
    chat_id BIGINT,
    payload TEXT,
    created_at BIGINT NOT NULL,
    lane TEXT COLLATE "C" NOT NULL,
    -- 'due', or 'dead' once it is not tried any more.
    state TEXT COLLATE "C" NOT NULL,
    attempts BIGINT NOT NULL,
    -- When it is tried next, once it is the first of its lane.
    next_at BIGINT NOT NULL,
    -- What came of the last attempt, in words of the service.
    failure TEXT,
    -- Since when it is here, or was last asked for again.
    parked_at BIGINT NOT NULL,
    CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (endpoint, id)
) WITH (
    -- Rows come and go.
    fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05
);

-- The first of each lane.
CREATE INDEX webhook_lanes ON webhook_deliveries (endpoint, lane, id) WHERE state = 'due';

-- Endpoints that have said that they are gone.
CREATE TABLE webhook_switched_off (
    endpoint TEXT COLLATE "C" NOT NULL,
    -- Of the URL that said so; another one is another endpoint.
    url_digest TEXT COLLATE "C" NOT NULL,
    since BIGINT NOT NULL,
    CONSTRAINT webhook_switched_off_pkey PRIMARY KEY (endpoint)
);
