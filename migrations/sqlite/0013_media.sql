-- Pictures, voice and files that people upload. The bytes are in the media storage; these rows say what they
-- are, and which chats show them.

CREATE TABLE media (
    id TEXT NOT NULL PRIMARY KEY,
    owner_id INTEGER NOT NULL,
    -- 'image', 'voice' or 'file'.
    kind TEXT NOT NULL,
    content_type TEXT NOT NULL,
    -- Of what is stored, in bytes.
    size INTEGER NOT NULL,
    -- Of what is stored.
    sha256 BLOB NOT NULL,
    -- Of a picture, in pixels.
    width INTEGER,
    height INTEGER,
    -- Of a picture's thumbnail, in bytes.
    thumb_size INTEGER,
    -- Of a voice message.
    duration_ms INTEGER,
    -- Of a file.
    name TEXT,
    -- 'storing' until its bytes are stored, then 'kept'; 'deleting' once nobody may refer to it any more.
    state TEXT NOT NULL DEFAULT 'storing',
    created_at INTEGER NOT NULL,
    -- Since when no chat refers to it; NULL while one does.
    unused_since INTEGER
) STRICT, WITHOUT ROWID;

-- What is to be collected, the oldest first.
CREATE INDEX media_unused ON media (unused_since) WHERE unused_since IS NOT NULL;

-- Which chats show which media. A forwarded picture is shown by several.
CREATE TABLE chat_media (
    chat_id INTEGER NOT NULL,
    media_id TEXT NOT NULL,
    CONSTRAINT chat_media_pkey PRIMARY KEY (chat_id, media_id),
    CONSTRAINT chat_media_media FOREIGN KEY (media_id) REFERENCES media (id)
) STRICT, WITHOUT ROWID;

CREATE INDEX chat_media_by_media ON chat_media (media_id);

-- What the URLs of media are signed with: the newest signs, the others are good for some time after they
-- were replaced.
CREATE TABLE media_keys (
    -- An id of a dropped key does not come back: URLs name it.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    secret BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    CONSTRAINT media_keys_secret_size CHECK (octet_length(secret) = 32)
) STRICT;
