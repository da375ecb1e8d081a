-- Which sides of a direct conversation have written in it: kept with the conversation, so that whoever
-- asks reads one row, however many chats there are. A replica of the version before does not set it;
-- the next chat of that side does.

ALTER TABLE conversations ADD COLUMN low_wrote INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN high_wrote INTEGER NOT NULL DEFAULT 0;
