-- Pictures, voice and files that people upload. The bytes are in the media storage; these rows say what they
-- are, and which chats show them.

CREATE TABLE media (
    id TEXT COLLATE "C" NOT NULL,
    owner_id BIGINT NOT NULL,
    -- 'image', 'voice' or 'file'.
    kind TEXT COLLATE "C" NOT NULL,
    content_type TEXT NOT NULL,
    -- Of what is stored, in bytes.
    size BIGINT NOT NULL,
    -- Of what is stored.
    sha256 BYTEA NOT NULL,
    -- Of a picture, in pixels.
    width INTEGER,
    height INTEGER,
    -- Of a picture's thumbnail, in bytes.
    thumb_size BIGINT,
    -- Of a voice message.
    duration_ms INTEGER,
    -- Of a file.
    name TEXT,
    -- 'storing' until its bytes are stored, then 'kept'; 'deleting' once nobody may refer to it any more.
    state TEXT COLLATE "C" NOT NULL DEFAULT 'storing',
    created_at BIGINT NOT NULL DEFAULT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint,
    -- Since when no chat refers to it; NULL while one does.
    unused_since BIGINT DEFAULT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint,
    CONSTRAINT media_pkey PRIMARY KEY (id)
);

-- What is to be collected, the oldest first.
CREATE INDEX media_unused ON media (unused_since) WHERE unused_since IS NOT NULL;

-- Which chats show which media. A forwarded picture is shown by several.
CREATE TABLE chat_media (
    chat_id BIGINT NOT NULL,
    media_id TEXT COLLATE "C" NOT NULL,
    CONSTRAINT chat_media_pkey PRIMARY KEY (chat_id, media_id),
    CONSTRAINT chat_media_media FOREIGN KEY (media_id) REFERENCES media (id)
);

CREATE INDEX chat_media_by_media ON chat_media (media_id);

-- What the URLs of media are signed with: the newest signs, the others are good for some time after they
-- were replaced.
CREATE TABLE media_keys (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    secret BYTEA NOT NULL,
    created_at BIGINT NOT NULL DEFAULT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint,
    CONSTRAINT media_keys_pkey PRIMARY KEY (id),
    CONSTRAINT media_keys_secret_size CHECK (octet_length(secret) = 32)
);
