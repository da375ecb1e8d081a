-- The keys of the server API, and what was done with them.

CREATE TABLE api_keys (
    -- The audit log names a key by its id, which does not come back.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- What whoever made it calls it.
    name TEXT NOT NULL,
    -- SHA-256 of the secret. Whoever reads this table cannot use it.
    key_hash BLOB NOT NULL,
    -- Words with commas between them.
    scopes TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    -- Noted once a minute at most.
    last_used_at INTEGER,
    -- A row is never deleted: the audit log names it.
    revoked_at INTEGER,
    CONSTRAINT api_keys_key_hash_key UNIQUE (key_hash)
) STRICT;

CREATE TABLE audit_log (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- NULL: the command line.
    key_id INTEGER,
    action TEXT NOT NULL,
    -- Ids of what it was about, and nothing that anybody wrote. NULL: none was found.
    subject TEXT,
    -- 'ok', or the code of the error. NULL until it has ended, and for ever if the process died meanwhile.
    outcome TEXT,
    created_at INTEGER NOT NULL
) STRICT;
