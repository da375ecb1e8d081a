-- A creator's key is one group for ever.
CREATE UNIQUE INDEX conversations_by_key ON conversations (creator_id, creator_key)
    WHERE creator_key IS NOT NULL;
