-- What somebody has uploaded, in the order of the ids.
CREATE INDEX media_by_owner ON media (owner_id, id);
