-- Media that are shown by what is reported are not collected.
CREATE INDEX reports_by_media ON reports (media_id) WHERE media_id IS NOT NULL AND outcome IS NULL;
