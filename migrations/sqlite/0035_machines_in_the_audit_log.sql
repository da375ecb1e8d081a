-- What checked a text and decided, such as 'words'; then there is no key. NULL: it was no machine.
ALTER TABLE audit_log ADD COLUMN machine text;
