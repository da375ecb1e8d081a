-- Replicas that live, and whether each can be heard on its bus: so that those that share this database and
-- no Redis find out. A row for each start of a replica; forgotten after some minutes.
CREATE TABLE replicas (
    id INTEGER PRIMARY KEY,
    is_heard BOOLEAN NOT NULL,
    seen_at INTEGER NOT NULL
);
