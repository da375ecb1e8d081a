-- Which chats quote one that is recalled.
CREATE INDEX chats_by_quoted ON chats (reply_to) WHERE reply_to IS NOT NULL;
