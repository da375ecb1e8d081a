-- Groups: what they are called, who made them, what each member is and keeps of a conversation, and which
-- chats changed since they were sent.

-- NULL in a direct conversation, and in a group without a name.
ALTER TABLE conversations ADD COLUMN title TEXT;
-- Who made the group, under which key of theirs, and SHA-256 of what they asked for: a repeat gets the
-- same group.
ALTER TABLE conversations ADD COLUMN creator_id INTEGER;
ALTER TABLE conversations ADD COLUMN creator_key TEXT;
ALTER TABLE conversations ADD COLUMN request_digest BLOB;
-- How many are members now; 0 in a direct conversation.
ALTER TABLE conversations ADD COLUMN member_count INTEGER NOT NULL DEFAULT 0;
-- Rises with each change of members and of their roles.
ALTER TABLE conversations ADD COLUMN members_version INTEGER NOT NULL DEFAULT 0;

-- 'member', 'admin' or 'owner'.
ALTER TABLE members ADD COLUMN role TEXT NOT NULL DEFAULT 'member';
-- NULL in a direct conversation.
ALTER TABLE members ADD COLUMN joined_at INTEGER;
-- Of a present member: chats up to this one were before the member joined, and are not the member's to
-- read.
ALTER TABLE members ADD COLUMN visible_after INTEGER NOT NULL DEFAULT 0;
-- Chats up to this one are gone for this member alone.
ALTER TABLE members ADD COLUMN cleared_up_to INTEGER NOT NULL DEFAULT 0;
-- The conversation is out of the member's list until a chat comes after this one.
ALTER TABLE members ADD COLUMN hidden_up_to INTEGER NOT NULL DEFAULT 0;
-- The last chat that called this member by name.
ALTER TABLE members ADD COLUMN mention_id INTEGER;
ALTER TABLE members ADD COLUMN marked_unread INTEGER NOT NULL DEFAULT 0;
ALTER TABLE members ADD COLUMN muted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE members ADD COLUMN pinned_at INTEGER;
ALTER TABLE members ADD COLUMN draft TEXT;

-- What somebody who has left may still read: the chats after from_chat, up to and including to_chat. Who comes
-- back keeps the row.
CREATE TABLE member_stretches (
    conversation_id INTEGER NOT NULL,
    user_id INTEGER NOT NULL,
    from_chat INTEGER NOT NULL,
    to_chat INTEGER NOT NULL,
    CONSTRAINT member_stretches_pkey PRIMARY KEY (conversation_id, user_id, from_chat)
) STRICT, WITHOUT ROWID;

-- Chats that a user has deleted for oneself.
CREATE TABLE hidden_chats (
    user_id INTEGER NOT NULL,
    chat_id INTEGER NOT NULL,
    CONSTRAINT hidden_chats_pkey PRIMARY KEY (user_id, chat_id)
) STRICT, WITHOUT ROWID;

-- What a change took from a chat, for the audit.
CREATE TABLE chat_revisions (
    chat_id INTEGER NOT NULL,
    -- The version that held this.
    version INTEGER NOT NULL,
    kind TEXT NOT NULL,
    content TEXT NOT NULL,
    body TEXT,
    -- Who changed it, and when.
    changed_by INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    CONSTRAINT chat_revisions_pkey PRIMARY KEY (chat_id, version)
) STRICT, WITHOUT ROWID;

-- The conversation that an event without a chat is about.
ALTER TABLE timeline_events ADD COLUMN conversation_id INTEGER;
