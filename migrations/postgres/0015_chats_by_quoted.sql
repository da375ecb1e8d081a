-- no-transaction
-- Which chats quote one that is recalled.
CREATE INDEX CONCURRENTLY IF NOT EXISTS chats_by_quoted ON chats (reply_to) WHERE reply_to IS NOT NULL;
