-- Who somebody is to whoever vouches for them, in place of users.demo_name and users.openid, which stay for
-- replicas of the version before. Providers: 'demo', 'wechat:APPID', and 'wechat' for openids of the
-- version before: it knew one mini program, and a migration does not know which.

CREATE TABLE identities (
    provider TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    user_id BIGINT NOT NULL
);

-- What a replica of the version before does to users: it makes and erases them by the two columns alone.
-- A replica of this version fills the columns too, so that it finds whom this one makes; their UNIQUE
-- decides between replicas of both that make the same user. The triggers and this function go with the
-- migration `identities_alone`, in the next version, which need not run beside the version before; the
-- columns go one version later.
CREATE FUNCTION identities_of_columns() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.erased_at IS NOT NULL THEN
        DELETE FROM identities WHERE user_id = NEW.id;
    ELSE
        INSERT INTO identities (provider, subject, user_id)
        SELECT n.provider, n.subject, NEW.id
        FROM (VALUES ('demo', NEW.demo_name), ('wechat', NEW.openid)) n (provider, subject)
        WHERE n.subject IS NOT NULL
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END $$;

-- From here to the end nobody else writes to users: who writes now waits, and is seen by the copy or by a
-- trigger. So the copy has to be quick, and the keys, which are slower one by one, come after it.
CREATE TRIGGER identities_of_new_users AFTER INSERT ON users FOR EACH ROW
    WHEN (NEW.demo_name IS NOT NULL OR NEW.openid IS NOT NULL)
    EXECUTE FUNCTION identities_of_columns();

CREATE TRIGGER identities_of_changed_users AFTER UPDATE OF demo_name, openid, erased_at ON users
    FOR EACH ROW EXECUTE FUNCTION identities_of_columns();

INSERT INTO identities (provider, subject, user_id)
SELECT n.provider, n.subject, u.id
FROM users u, LATERAL (VALUES ('demo', u.demo_name), ('wechat', u.openid)) n (provider, subject)
WHERE n.subject IS NOT NULL;

ALTER TABLE identities
    ADD PRIMARY KEY (provider, subject),
    ADD FOREIGN KEY (user_id) REFERENCES users (id);

-- An erasure deletes all of a user.
CREATE INDEX identities_by_user ON identities (user_id);
