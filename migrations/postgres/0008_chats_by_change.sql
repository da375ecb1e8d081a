-- no-transaction
-- The chats of a conversation that were changed after a version of it. One that never was is found by its
-- id, and costs this index nothing.
CREATE INDEX CONCURRENTLY IF NOT EXISTS chats_by_change ON chats (conversation_id, change_id)
    WHERE change_id IS NOT NULL;
