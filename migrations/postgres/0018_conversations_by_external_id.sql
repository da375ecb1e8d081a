-- no-transaction
-- What a back end calls a conversation is one conversation for ever.
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS conversations_by_external_id ON conversations (external_id)
    WHERE external_id IS NOT NULL;
