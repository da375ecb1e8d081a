-- What WeChat has pushed. An event is kept until it is handled, and for an hour after that without what it said: by its
-- key a repeat is known.
CREATE TABLE wechat_events (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    -- A digest of what tells it from all others.
    key TEXT COLLATE "C" NOT NULL,
    -- The mini program, where WeChat says which.
    appid TEXT,
    -- The JSON object; NULL once it is handled.
    payload TEXT,
    received_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    -- When it is handled, or tried again.
    next_at BIGINT NOT NULL,
    handled_at BIGINT,
    CONSTRAINT wechat_events_pkey PRIMARY KEY (id),
    CONSTRAINT wechat_events_key UNIQUE (key)
) WITH (
    -- Rows come and go.
    fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02
);

-- What is to be handled.
CREATE INDEX wechat_events_due ON wechat_events (next_at) WHERE handled_at IS NULL;

-- What is forgotten, the oldest first.
CREATE INDEX wechat_events_handled ON wechat_events (handled_at) WHERE handled_at IS NOT NULL;
