-- What WeChat has pushed. An event is kept until it is handled, and for an hour after that without what it said: by its
-- key a repeat is known.
CREATE TABLE wechat_events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- A digest of what tells it from all others.
    key TEXT NOT NULL UNIQUE,
    -- The mini program, where WeChat says which.
    appid TEXT,
    -- The JSON object; NULL once it is handled.
    payload TEXT,
    received_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    -- When it is handled, or tried again.
    next_at INTEGER NOT NULL,
    handled_at INTEGER
) STRICT;

-- What is to be handled.
CREATE INDEX wechat_events_due ON wechat_events (next_at) WHERE handled_at IS NULL;

-- What is forgotten, the oldest first.
CREATE INDEX wechat_events_handled ON wechat_events (handled_at) WHERE handled_at IS NOT NULL;
