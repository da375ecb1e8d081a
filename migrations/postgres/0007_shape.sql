-- Conversations of any number of members, and chats and events of any kind. Columns only, each without a
-- default that must be written into old rows: no table is rewritten, none is read.

-- 'person', 'bot' or 'system'. Only a person has a timeline.
ALTER TABLE users ADD COLUMN kind TEXT COLLATE "C" NOT NULL DEFAULT 'person';

-- 'member' or 'left'. A row is never deleted: it says what a former member may read.
ALTER TABLE members ADD COLUMN state TEXT COLLATE "C" NOT NULL DEFAULT 'member';

ALTER TABLE chats
    -- What a chat holds beside its content: a JSON object, kept to the letter.
    ADD COLUMN body TEXT,
    -- NULL, or what has become of it: 'recalled'.
    ADD COLUMN state TEXT COLLATE "C",
    -- Rises with each change.
    ADD COLUMN version INTEGER NOT NULL DEFAULT 1,
    -- Of the last change, drawn from chat_ids under the locks; NULL while there was none, when the chat's
    -- own id stands for it.
    ADD COLUMN change_id BIGINT,
    -- SHA-256 of what the sender asked for; NULL while the row itself still says so.
    ADD COLUMN request_digest BYTEA,
    -- The chat that this one quotes.
    ADD COLUMN reply_to BIGINT,
    -- JSON: a list of ids of users, or "all".
    ADD COLUMN mentions TEXT,
    -- NOT VALID: the rows that are there have none, and need not be read for it.
    ADD CONSTRAINT chats_body_size CHECK (octet_length(body) <= 16384) NOT VALID,
    -- NULL where the sender has no timeline.
    ALTER COLUMN sender_seq DROP NOT NULL;

ALTER TABLE timeline_events
    -- What an event says beside its chat: a JSON object, kept to the letter.
    ADD COLUMN payload TEXT,
    -- For trimming by age. NULL in events of kind 'chat', whose chat has the time.
    ADD COLUMN created_at BIGINT,
    ADD CONSTRAINT timeline_events_payload_size CHECK (octet_length(payload) <= 1024) NOT VALID;
