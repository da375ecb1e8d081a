-- Conversations of any number of members, and chats and events of any kind.

-- 'person', 'bot' or 'system'. Only a person has a timeline.
ALTER TABLE users ADD COLUMN kind TEXT NOT NULL DEFAULT 'person';

-- 'member' or 'left'. A row is never deleted: it says what a former member may read.
ALTER TABLE members ADD COLUMN state TEXT NOT NULL DEFAULT 'member';

-- Made anew: no statement takes the NOT NULL from a column.
CREATE TABLE grown_chats (
    id INTEGER PRIMARY KEY,
    conversation_id INTEGER NOT NULL,
    sender_id INTEGER NOT NULL,
    -- Where the sender's timeline has it: a repeat of the key answers with it. NULL where the sender has
    -- no timeline.
    sender_seq INTEGER,
    client_msg_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    content TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    -- What a chat holds beside its content: a JSON object, kept to the letter.
    body TEXT,
    -- NULL, or what has become of it: 'recalled'.
    state TEXT,
    -- Rises with each change.
    version INTEGER NOT NULL DEFAULT 1,
    -- Of the last change, drawn as chat ids are; NULL while there was none, when the chat's own id stands
    -- for it.
    change_id INTEGER,
    -- SHA-256 of what the sender asked for; NULL while the row itself still says so.
    request_digest BLOB,
    -- The chat that this one quotes.
    reply_to INTEGER,
    -- JSON: a list of ids of users, or "all".
    mentions TEXT,
    -- The service's own limit is lower. This is the last line against what slips past it.
    CONSTRAINT content_size CHECK (octet_length(content) <= 65536),
    CONSTRAINT chats_body_size CHECK (octet_length(body) <= 16384),
    UNIQUE (sender_id, client_msg_id)
) STRICT;

INSERT INTO grown_chats (id, conversation_id, sender_id, sender_seq, client_msg_id, kind, content,
    created_at)
SELECT id, conversation_id, sender_id, sender_seq, client_msg_id, kind, content, created_at
FROM chats ORDER BY id;

DROP TABLE chats;
ALTER TABLE grown_chats RENAME TO chats;

-- The sender is there so that unread chats are counted without reading the chats themselves.
CREATE INDEX chats_by_conversation ON chats (conversation_id, id, sender_id);

-- What an event says beside its chat: a JSON object, kept to the letter.
ALTER TABLE timeline_events ADD COLUMN payload TEXT
    CONSTRAINT timeline_events_payload_size CHECK (octet_length(payload) <= 1024);
-- For trimming by age. NULL in events of kind 'chat', whose chat has the time.
ALTER TABLE timeline_events ADD COLUMN created_at INTEGER;
