-- What a company's own back end says of users and conversations. Its ids of users are identities, of the
-- provider 'external'. Columns only: no row is rewritten.

ALTER TABLE users
    -- A picture elsewhere, which counts in place of an own one.
    ADD COLUMN avatar_url TEXT,
    -- JSON objects, kept to the letter: what everybody sees, and what nobody sees but the back end.
    ADD COLUMN public_profile TEXT,
    ADD COLUMN hidden_profile TEXT,
    ADD CONSTRAINT users_profile_size
        CHECK (octet_length(public_profile) <= 4096 AND octet_length(hidden_profile) <= 4096) NOT VALID;

-- What the back end calls a conversation.
ALTER TABLE conversations ADD COLUMN external_id TEXT COLLATE "C";
