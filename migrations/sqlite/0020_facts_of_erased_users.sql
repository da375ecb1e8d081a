-- An erasure by the version before leaves what a back end has said of the user. Goes with the migration
-- `identities_alone`, in the next version.
CREATE TRIGGER facts_of_erased_users AFTER UPDATE OF erased_at ON users
WHEN NEW.erased_at IS NOT NULL
BEGIN
    UPDATE users SET avatar_url = NULL, public_profile = NULL, hidden_profile = NULL WHERE id = NEW.id;
END;
