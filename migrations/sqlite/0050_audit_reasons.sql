-- Why whoever read a conversation said that they did: the one thing in the log that somebody
-- wrote; an operator, and no user. NULL: nobody said.
ALTER TABLE audit_log ADD COLUMN reason TEXT;
