-- Subscribe messages of WeChat: how many each user lets be sent, and who is away from which conversation.

CREATE TABLE subscription_grants (
    user_id INTEGER NOT NULL,
    -- The mini program, and its template.
    appid TEXT NOT NULL,
    template_id TEXT NOT NULL,
    -- How many messages may be sent yet.
    grants INTEGER NOT NULL CHECK (grants >= 0),
    CONSTRAINT subscription_grants_pkey PRIMARY KEY (user_id, appid, template_id)
) STRICT, WITHOUT ROWID;

-- One row for a member and a conversation, at most.
CREATE TABLE absences (
    user_id INTEGER NOT NULL,
    conversation_id INTEGER NOT NULL,
    -- It ends once the member has read this chat.
    chat_id INTEGER NOT NULL,
    -- The member's read mark when it began.
    read_up_to INTEGER NOT NULL,
    -- When its message is to be sent; NULL once that was begun.
    due_at INTEGER,
    -- How often that was begun.
    attempts INTEGER NOT NULL,
    CONSTRAINT absences_pkey PRIMARY KEY (user_id, conversation_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX absences_due ON absences (due_at) WHERE due_at IS NOT NULL;
