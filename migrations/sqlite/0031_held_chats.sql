-- Chats about which somebody else decides: a hook that is being asked, or people who look at what is held back.
-- A chat is here until it is decided; then it is in `chats`, or nowhere.

CREATE TABLE held_chats (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    sender_id INTEGER NOT NULL,
    client_msg_id TEXT NOT NULL,
    -- SHA-256 of what the sender asked for.
    request_digest BLOB NOT NULL,
    -- One of the two.
    target_id INTEGER,
    conversation_id INTEGER,
    -- 'asked' while a replica asks whether it may be sent, and for a moment after that; 'allowed' if it was not sent
    -- all the same; 'held' until somebody decides; 'releasing' while it is being sent after that; 'refused'.
    state TEXT NOT NULL,
    -- When a question counts as given up, and when a verdict is forgotten; NULL while it is held.
    until INTEGER,
    -- What it says, while it is held: as in `chats`. Of what is allowed: the content in place of its own, if any.
    kind TEXT,
    content TEXT,
    body TEXT,
    reply_to INTEGER,
    mentions TEXT,
    media_id TEXT,
    -- What its sender is told of a refusal.
    code TEXT,
    detail TEXT,
    created_at INTEGER NOT NULL,
    CONSTRAINT held_chats_key UNIQUE (sender_id, client_msg_id)
) STRICT;

-- What somebody is to decide about, the oldest first.
CREATE INDEX held_chats_undecided ON held_chats (id) WHERE until IS NULL;

-- What is forgotten, the oldest first.
CREATE INDEX held_chats_by_end ON held_chats (until) WHERE until IS NOT NULL;

-- Media that are shown by what is held are not collected.
CREATE INDEX held_chats_by_media ON held_chats (media_id) WHERE media_id IS NOT NULL;
