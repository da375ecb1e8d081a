-- no-transaction
-- Whether any key is held or was refused, which a service without the hook looks up once a second.
CREATE INDEX CONCURRENTLY IF NOT EXISTS held_chats_decided ON held_chats (state)
    WHERE state IN ('held', 'releasing', 'refused');
