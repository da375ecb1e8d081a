-- Groups: what they are called, who made them, what each member is and keeps of a conversation, and which
-- chats changed since they were sent. Columns and tables only: no row is rewritten.

ALTER TABLE conversations
    -- NULL in a direct conversation, and in a group without a name.
    ADD COLUMN title TEXT COLLATE "C",
    -- Who made the group, under which key of theirs, and SHA-256 of what they asked for: a repeat gets the
    -- same group.
    ADD COLUMN creator_id BIGINT,
    ADD COLUMN creator_key TEXT COLLATE "C",
    ADD COLUMN request_digest BYTEA,
    -- How many are members now; 0 in a direct conversation.
    ADD COLUMN member_count INTEGER NOT NULL DEFAULT 0,
    -- Rises with each change of members and of their roles.
    ADD COLUMN members_version INTEGER NOT NULL DEFAULT 0;

ALTER TABLE members
    -- 'member', 'admin' or 'owner'.
    ADD COLUMN role TEXT COLLATE "C" NOT NULL DEFAULT 'member',
    -- NULL in a direct conversation.
    ADD COLUMN joined_at BIGINT,
    -- Of a present member: chats up to this one were before the member joined, and are not the member's to
    -- read.
    ADD COLUMN visible_after BIGINT NOT NULL DEFAULT 0,
    -- Chats up to this one are gone for this member alone.
    ADD COLUMN cleared_up_to BIGINT NOT NULL DEFAULT 0,
    -- The conversation is out of the member's list until a chat comes after this one.
    ADD COLUMN hidden_up_to BIGINT NOT NULL DEFAULT 0,
    -- The last chat that called this member by name.
    ADD COLUMN mention_id BIGINT,
    ADD COLUMN marked_unread BOOLEAN NOT NULL DEFAULT false,
    ADD COLUMN muted BOOLEAN NOT NULL DEFAULT false,
    ADD COLUMN pinned_at BIGINT,
    ADD COLUMN draft TEXT;

-- What somebody who has left may still read: the chats after from_chat, up to and including to_chat. Who comes
-- back keeps the row.
CREATE TABLE member_stretches (
    conversation_id BIGINT NOT NULL,
    user_id BIGINT NOT NULL,
    from_chat BIGINT NOT NULL,
    to_chat BIGINT NOT NULL,
    CONSTRAINT member_stretches_pkey PRIMARY KEY (conversation_id, user_id, from_chat)
);

-- Chats that a user has deleted for oneself.
CREATE TABLE hidden_chats (
    user_id BIGINT NOT NULL,
    chat_id BIGINT NOT NULL,
    CONSTRAINT hidden_chats_pkey PRIMARY KEY (user_id, chat_id)
);

-- What a change took from a chat, for the audit.
CREATE TABLE chat_revisions (
    chat_id BIGINT NOT NULL,
    -- The version that held this.
    version INTEGER NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    content TEXT NOT NULL,
    body TEXT,
    -- Who changed it, and when.
    changed_by BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    CONSTRAINT chat_revisions_pkey PRIMARY KEY (chat_id, version)
);

-- The conversation that an event without a chat is about.
ALTER TABLE timeline_events ADD COLUMN conversation_id BIGINT;
