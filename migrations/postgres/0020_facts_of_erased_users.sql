-- An erasure by a replica of the version before leaves what a back end has said of the user. Goes with the
-- migration `identities_alone`, in the next version.
CREATE FUNCTION forget_facts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.avatar_url := NULL;
    NEW.public_profile := NULL;
    NEW.hidden_profile := NULL;
    RETURN NEW;
END $$;

CREATE TRIGGER facts_of_erased_users BEFORE UPDATE OF erased_at ON users
    FOR EACH ROW WHEN (NEW.erased_at IS NOT NULL) EXECUTE FUNCTION forget_facts();
