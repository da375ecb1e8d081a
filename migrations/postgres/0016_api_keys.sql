-- The keys of the server API, and what was done with them.

CREATE TABLE api_keys (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    -- What whoever made it calls it.
    name TEXT NOT NULL,
    -- SHA-256 of the secret. Whoever reads this table cannot use it.
    key_hash BYTEA NOT NULL,
    -- Words with commas between them.
    scopes TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    -- Noted once a minute at most.
    last_used_at BIGINT,
    -- A row is never deleted: the audit log names it.
    revoked_at BIGINT,
    CONSTRAINT api_keys_pkey PRIMARY KEY (id),
    CONSTRAINT api_keys_key_hash_key UNIQUE (key_hash)
);

CREATE TABLE audit_log (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    -- NULL: the command line.
    key_id BIGINT,
    action TEXT COLLATE "C" NOT NULL,
    -- Ids of what it was about, and nothing that anybody wrote. NULL: none was found.
    subject TEXT COLLATE "C",
    -- 'ok', or the code of the error. NULL until it has ended, and for ever if the process died meanwhile.
    outcome TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    CONSTRAINT audit_log_pkey PRIMARY KEY (id)
);
