-- The schema of a service that runs alone. Times are milliseconds since 1970-01-01T00:00:00Z.
-- Tables are STRICT, so that a value of another type is an error here and not a surprise in a reader.

-- One row: what belongs to this database as a whole.
CREATE TABLE service (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    -- The uuid of this history. Sequence numbers of one epoch mean nothing in another.
    epoch TEXT NOT NULL,
    -- Where to look for the id of the next registered user. Ids below 1,000,000 are free for clients
    -- of the seed's routes, which name their own; they may also have taken one above.
    next_user_id INTEGER NOT NULL,
    -- Not max(chats.id): the id of a chat must not come back when chats are deleted.
    last_chat_id INTEGER NOT NULL,
    -- Ids of sockets are reserved in blocks. The next one begins here, or later.
    next_connection_id INTEGER NOT NULL
) STRICT;

CREATE TABLE avatars (
    hash TEXT NOT NULL PRIMARY KEY,
    content_type TEXT NOT NULL,
    picture BLOB NOT NULL
) STRICT;

CREATE TABLE users (
    id INTEGER PRIMARY KEY CHECK (id BETWEEN 1 AND 9007199254740991),
    name TEXT NOT NULL,
    avatar TEXT REFERENCES avatars (hash),
    -- The WeChat user's name within this mini program; never leaves the server.
    openid TEXT UNIQUE,
    -- The name that a demo user logs in by. Not the display name, which can be changed: the login
    -- must find the same user ever after.
    demo_name TEXT UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;

-- Binary collation: a search for a prefix is a range of this index.
CREATE INDEX users_by_name ON users (name);

CREATE TABLE sessions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- SHA-256. Whoever reads this table cannot log in with it.
    token_hash BLOB NOT NULL UNIQUE,
    user_id INTEGER NOT NULL REFERENCES users (id),
    created_at INTEGER NOT NULL,
    idle_expires_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked INTEGER NOT NULL DEFAULT 0
) STRICT;

-- The counter of each user's timeline, apart from `users`: it is written with every chat.
CREATE TABLE timelines (
    user_id INTEGER PRIMARY KEY,
    -- The first event that is kept; trimming raises it.
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL
) STRICT;

CREATE TABLE conversations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    -- The pair of a direct conversation, ordered so that there is one for both directions; the same
    -- user twice in a conversation with oneself.
    low_user INTEGER,
    high_user INTEGER,
    created_at INTEGER NOT NULL,
    CHECK (kind <> 'direct' OR (low_user IS NOT NULL AND high_user IS NOT NULL
        AND low_user <= high_user))
) STRICT;

CREATE UNIQUE INDEX conversations_by_pair ON conversations (low_user, high_user)
    WHERE kind = 'direct';

CREATE TABLE members (
    conversation_id INTEGER NOT NULL REFERENCES conversations (id),
    user_id INTEGER NOT NULL REFERENCES users (id),
    -- The last chat that this member has read; NULL before the first.
    read_up_to INTEGER,
    PRIMARY KEY (conversation_id, user_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX members_by_user ON members (user_id);

-- No foreign keys here and on timeline_events: both are written with every chat, and what they point
-- to is looked up in the same transaction and never deleted.
CREATE TABLE chats (
    id INTEGER PRIMARY KEY,
    conversation_id INTEGER NOT NULL,
    sender_id INTEGER NOT NULL,
    -- Where the sender's timeline has it: a repeat of the key answers with it.
    sender_seq INTEGER NOT NULL,
    client_msg_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    content TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    -- The service's own limit is lower. This is the last line against what slips past it.
    CONSTRAINT content_size CHECK (octet_length(content) <= 65536),
    UNIQUE (sender_id, client_msg_id)
) STRICT;

-- The sender is there so that unread chats are counted without reading the chats themselves.
CREATE INDEX chats_by_conversation ON chats (conversation_id, id, sender_id);

CREATE TABLE timeline_events (
    user_id INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    kind TEXT NOT NULL,
    chat_id INTEGER,
    PRIMARY KEY (user_id, seq)
) STRICT, WITHOUT ROWID;

-- The last `/close` of a user: sockets with ids up to this one must close. A row for each user who was
-- ever closed; never trimmed. No foreign key: a socket of an anonymous user may be open before the
-- user's first chat.
CREATE TABLE closes (
    user_id INTEGER PRIMARY KEY,
    up_to INTEGER NOT NULL
) STRICT;

-- Narrow and apart from `users`: written in batches as sockets go.
CREATE TABLE last_seen (
    user_id INTEGER PRIMARY KEY,
    seen_at INTEGER NOT NULL
) STRICT;
