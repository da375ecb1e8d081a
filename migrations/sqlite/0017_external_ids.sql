-- What a company's own back end says of users and conversations. Its ids of users are identities, of the
-- provider 'external'.

-- A picture elsewhere, which counts in place of an own one.
ALTER TABLE users ADD COLUMN avatar_url TEXT;
-- JSON objects, kept to the letter: what everybody sees, and what nobody sees but the back end.
ALTER TABLE users ADD COLUMN public_profile TEXT
    CONSTRAINT users_public_profile_size CHECK (octet_length(public_profile) <= 4096);
ALTER TABLE users ADD COLUMN hidden_profile TEXT
    CONSTRAINT users_hidden_profile_size CHECK (octet_length(hidden_profile) <= 4096);

-- What the back end calls a conversation.
ALTER TABLE conversations ADD COLUMN external_id TEXT;
