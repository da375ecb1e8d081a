-- The schema of a service of several replicas; migrations/sqlite has the same tables under the same
-- version. Times are milliseconds since 1970-01-01T00:00:00Z.
--
-- COLLATE "C" is comparison by bytes: exact, the same on every system, and cheaper in an index than
-- the rules of a language.

-- One row: what belongs to this database as a whole.
CREATE TABLE service (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    -- The uuid of this history. Sequence numbers of one epoch mean nothing in another.
    epoch TEXT NOT NULL,
    -- Which server this history was written on, and on which of its WAL timelines. Another one is
    -- another history. NULL while the service may not know.
    system_identifier BIGINT,
    wal_timeline BIGINT
);

CREATE TABLE avatars (
    hash TEXT COLLATE "C" PRIMARY KEY,
    content_type TEXT NOT NULL,
    picture BYTEA NOT NULL
);

-- Pictures are compressed already.
ALTER TABLE avatars ALTER COLUMN picture SET STORAGE EXTERNAL;

CREATE TABLE users (
    id BIGINT PRIMARY KEY CHECK (id BETWEEN 1 AND 9007199254740991),
    name TEXT COLLATE "C" NOT NULL,
    avatar TEXT COLLATE "C" REFERENCES avatars (hash),
    -- The WeChat user's name within this mini program; never leaves the server.
    openid TEXT COLLATE "C" UNIQUE,
    -- The name that a demo user logs in by. Not the display name, which can be changed: the login
    -- must find the same user ever after.
    demo_name TEXT COLLATE "C" UNIQUE,
    created_at BIGINT NOT NULL
);

-- A search for a prefix is a range of this index.
CREATE INDEX users_by_name ON users (name, id);

-- Ids of registered users. Those below are free for clients of the seed's routes, which name their
-- own; they may also have taken one above.
CREATE SEQUENCE user_ids AS BIGINT START 1000000 MAXVALUE 9007199254740991;

CREATE TABLE sessions (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- SHA-256. Whoever reads this table cannot log in with it.
    token_hash BYTEA NOT NULL UNIQUE,
    user_id BIGINT NOT NULL REFERENCES users (id),
    created_at BIGINT NOT NULL,
    idle_expires_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked BOOLEAN NOT NULL DEFAULT false
);

-- The counter of each user's timeline, apart from `users`: it is locked and written with every chat.
-- The row is made in the statement that makes the user, so that every batch finds rows to lock: two
-- batches that had to make them first could not agree on an order.
CREATE TABLE timelines (
    user_id BIGINT PRIMARY KEY,
    -- The first event that is kept; trimming raises it.
    first_seq BIGINT NOT NULL,
    last_seq BIGINT NOT NULL
) WITH (
    -- Half a page is room for new versions of its rows, which then need no new index entry.
    fillfactor = 50,
    -- A vacuum of a table this narrow is quick. Left to the defaults it grows with dead versions until
    -- a fifth of all users have been written.
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0
);

CREATE TABLE conversations (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind TEXT NOT NULL,
    -- The pair of a direct conversation, ordered so that there is one for both directions; the same
    -- user twice in a conversation with oneself.
    low_user BIGINT,
    high_user BIGINT,
    created_at BIGINT NOT NULL,
    CHECK (kind <> 'direct' OR (low_user IS NOT NULL AND high_user IS NOT NULL
        AND low_user <= high_user))
);

CREATE UNIQUE INDEX conversations_by_pair ON conversations (low_user, high_user)
    WHERE kind = 'direct';

CREATE TABLE members (
    conversation_id BIGINT NOT NULL REFERENCES conversations (id),
    user_id BIGINT NOT NULL REFERENCES users (id),
    -- The last chat that this member has read; NULL before the first.
    read_up_to BIGINT,
    PRIMARY KEY (conversation_id, user_id)
) WITH (fillfactor = 80);

CREATE INDEX members_by_user ON members (user_id);

-- Not cached: a session that kept a few ids for later would give an id to a chat that is committed
-- after one with a higher id, and ids rise within a conversation.
CREATE SEQUENCE chat_ids AS BIGINT MAXVALUE 9007199254740991 CACHE 1;

-- No foreign keys here and on timeline_events: both are written with every chat, and what they point
-- to is looked up in the same transaction and never deleted.
CREATE TABLE chats (
    id BIGINT PRIMARY KEY,
    conversation_id BIGINT NOT NULL,
    sender_id BIGINT NOT NULL,
    -- Where the sender's timeline has it: a repeat of the key answers with it.
    sender_seq BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    client_msg_id TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    content TEXT NOT NULL,
    -- The service's own limit is lower. This is the last line against what slips past it.
    CONSTRAINT content_size CHECK (octet_length(content) <= 65536),
    UNIQUE (sender_id, client_msg_id)
) WITH (
    -- Rows are only added, so no dead ones call for a vacuum. It comes by the number of new ones, so
    -- that pages are marked as visible to all and frozen while they are still in memory.
    autovacuum_vacuum_insert_threshold = 100000,
    autovacuum_vacuum_insert_scale_factor = 0.02,
    autovacuum_analyze_scale_factor = 0.02
);

-- The sender is there so that unread chats are counted without reading the chats themselves.
CREATE INDEX chats_by_conversation ON chats (conversation_id, id, sender_id);

CREATE TABLE timeline_events (
    user_id BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    chat_id BIGINT,
    kind TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (user_id, seq)
) WITH (
    autovacuum_vacuum_insert_threshold = 100000,
    autovacuum_vacuum_insert_scale_factor = 0.02,
    autovacuum_analyze_scale_factor = 0.02
);

-- Ids of sockets, over all replicas in the order of opening. Not cached, for the order; and above the
-- microseconds since 1970 at which it was last raised, so that what a restored dump gives out is more
-- than what was given out before.
CREATE SEQUENCE connection_ids AS BIGINT MAXVALUE 9007199254740991 CACHE 1;

SELECT setval('connection_ids', floor(extract(epoch FROM clock_timestamp()) * 1000000)::bigint);

-- The last `/close` of a user: sockets with ids up to this one must close. A row for each user who was
-- ever closed; never trimmed. No foreign key: a socket of an anonymous user may be open before the
-- user's first chat.
CREATE TABLE closes (
    user_id BIGINT PRIMARY KEY,
    up_to BIGINT NOT NULL
) WITH (fillfactor = 70);

-- Narrow and apart from `users`: written in batches as sockets go.
CREATE TABLE last_seen (
    user_id BIGINT PRIMARY KEY,
    seen_at BIGINT NOT NULL
) WITH (fillfactor = 70);
