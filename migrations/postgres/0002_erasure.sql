-- Erasing a user: the row stays, since chats of others point to it, and says when.

ALTER TABLE users ADD COLUMN erased_at BIGINT;

-- A picture is deleted once nobody has it. Without the index each deletion reads all users.
CREATE INDEX users_by_avatar ON users (avatar) WHERE avatar IS NOT NULL;

-- All sessions of a user are ended at once.
CREATE INDEX sessions_by_user ON sessions (user_id);
