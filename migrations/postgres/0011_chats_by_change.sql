-- no-transaction
-- What changed in a conversation since one of its versions.
CREATE INDEX CONCURRENTLY IF NOT EXISTS chats_by_change ON chats (conversation_id, change_id) WHERE change_id IS NOT NULL;
