-- Chats about which somebody else decides: a hook that is being asked, or people who look at what is held back.
-- A chat is here until it is decided; then it is in `chats`, or nowhere.

CREATE TABLE held_chats (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    sender_id BIGINT NOT NULL,
    client_msg_id TEXT COLLATE "C" NOT NULL,
    -- SHA-256 of what the sender asked for.
    request_digest BYTEA NOT NULL,
    -- One of the two.
    target_id BIGINT,
    conversation_id BIGINT,
    -- 'asked' while a replica asks whether it may be sent, and for a moment after that; 'allowed' if it was not sent
    -- all the same; 'held' until somebody decides; 'releasing' while it is being sent after that; 'refused'.
    state TEXT COLLATE "C" NOT NULL,
    -- When a question counts as given up, and when a verdict is forgotten; NULL while it is held.
    until BIGINT,
    -- What it says, while it is held: as in `chats`. Of what is allowed: the content in place of its own, if any.
    kind TEXT COLLATE "C",
    content TEXT,
    body TEXT,
    reply_to BIGINT,
    mentions TEXT,
    media_id TEXT COLLATE "C",
    -- What its sender is told of a refusal.
    code TEXT COLLATE "C",
    detail TEXT,
    created_at BIGINT NOT NULL,
    CONSTRAINT held_chats_pkey PRIMARY KEY (id),
    CONSTRAINT held_chats_key UNIQUE (sender_id, client_msg_id)
) WITH (
    -- Rows come and go.
    fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02
);

-- What somebody is to decide about, the oldest first.
CREATE INDEX held_chats_undecided ON held_chats (id) WHERE until IS NULL;

-- What is forgotten, the oldest first.
CREATE INDEX held_chats_by_end ON held_chats (until) WHERE until IS NOT NULL;

-- Media that are shown by what is held are not collected.
CREATE INDEX held_chats_by_media ON held_chats (media_id) WHERE media_id IS NOT NULL;
