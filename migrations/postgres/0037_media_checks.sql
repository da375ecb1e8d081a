-- What somebody who checks pictures and voice messages says of them. A check is here before the chat that shows the
-- medium is committed or held back, and stays for a while, so that a medium that was found risky is known.
CREATE TABLE media_checks (
    media_id TEXT COLLATE "C" NOT NULL,
    -- Of what is stored: other uploads of the same bytes need no check of their own.
    sha256 BYTEA NOT NULL,
    -- 'image' or 'voice'.
    kind TEXT COLLATE "C" NOT NULL,
    -- In whose name it is checked; NULL once that user is erased.
    sender_id BIGINT,
    -- 'due' until the question is asked, 'asked' until its answer comes; then 'pass', 'review', 'risky', 'unable' or
    -- 'failed'.
    state TEXT COLLATE "C" NOT NULL,
    -- What the checker calls the question.
    trace_id TEXT COLLATE "C",
    attempts BIGINT NOT NULL DEFAULT 0,
    -- When it is asked, or no answer is awaited any more.
    next_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    decided_at BIGINT,
    CONSTRAINT media_checks_pkey PRIMARY KEY (media_id)
);

CREATE INDEX media_checks_due ON media_checks (next_at) WHERE state IN ('due', 'asked');
CREATE INDEX media_checks_by_trace ON media_checks (trace_id) WHERE trace_id IS NOT NULL;
CREATE INDEX media_checks_by_content ON media_checks (sha256);
CREATE INDEX media_checks_by_sender ON media_checks (sender_id) WHERE sender_id IS NOT NULL;
CREATE INDEX media_checks_decided ON media_checks (decided_at) WHERE decided_at IS NOT NULL;

-- Whether a chat is held back for nothing but such a check: it is released when the medium passes.
ALTER TABLE held_chats ADD COLUMN awaits_check BOOLEAN NOT NULL DEFAULT false;
