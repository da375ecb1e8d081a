-- Subscribe messages of WeChat: how many each user lets be sent, and who is away from which conversation.

CREATE TABLE subscription_grants (
    user_id BIGINT NOT NULL,
    -- The mini program, and its template.
    appid TEXT COLLATE "C" NOT NULL,
    template_id TEXT COLLATE "C" NOT NULL,
    -- How many messages may be sent yet.
    grants BIGINT NOT NULL CHECK (grants >= 0),
    CONSTRAINT subscription_grants_pkey PRIMARY KEY (user_id, appid, template_id)
) WITH (fillfactor = 70);

-- One row for a member and a conversation, at most.
CREATE TABLE absences (
    user_id BIGINT NOT NULL,
    conversation_id BIGINT NOT NULL,
    -- It ends once the member has read this chat.
    chat_id BIGINT NOT NULL,
    -- The member's read mark when it began.
    read_up_to BIGINT NOT NULL,
    -- When its message is to be sent; NULL once that was begun.
    due_at BIGINT,
    -- How often that was begun.
    attempts BIGINT NOT NULL,
    CONSTRAINT absences_pkey PRIMARY KEY (user_id, conversation_id)
) WITH (
    -- Rows come and go.
    fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02
);

CREATE INDEX absences_due ON absences (due_at) WHERE due_at IS NOT NULL;
