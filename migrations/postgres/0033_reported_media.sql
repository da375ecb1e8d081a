-- The upload that a reported chat shows: it is not collected before something is done about the report.
ALTER TABLE reports ADD COLUMN media_id TEXT COLLATE "C";
