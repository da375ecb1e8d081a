-- Who somebody is to whoever vouches for them, in place of users.demo_name and users.openid, which stay for
-- the version before. Providers: 'demo', 'wechat:APPID', and 'wechat' for openids of the version before:
-- it knew one mini program, and a migration does not know which.

CREATE TABLE identities (
    provider TEXT NOT NULL,
    subject TEXT NOT NULL,
    user_id INTEGER NOT NULL REFERENCES users (id),
    PRIMARY KEY (provider, subject)
) STRICT, WITHOUT ROWID;

-- An erasure deletes all of a user.
CREATE INDEX identities_by_user ON identities (user_id);

-- What the version before does to users, where it is started again: it makes and erases them by the two
-- columns alone. This version fills the columns too, so that it finds whom this one made. The triggers go
-- with the migration `identities_alone`, in the next version; the columns go one version later.
CREATE TRIGGER identities_of_new_users AFTER INSERT ON users
WHEN NEW.demo_name IS NOT NULL OR NEW.openid IS NOT NULL
BEGIN
    INSERT INTO identities (provider, subject, user_id)
    SELECT 'demo', NEW.demo_name, NEW.id WHERE NEW.demo_name IS NOT NULL
    UNION ALL
    SELECT 'wechat', NEW.openid, NEW.id WHERE NEW.openid IS NOT NULL
    ON CONFLICT DO NOTHING;
END;

CREATE TRIGGER identities_of_changed_users AFTER UPDATE OF demo_name, openid ON users
WHEN NEW.erased_at IS NULL
BEGIN
    INSERT INTO identities (provider, subject, user_id)
    SELECT 'demo', NEW.demo_name, NEW.id WHERE NEW.demo_name IS NOT NULL
    UNION ALL
    SELECT 'wechat', NEW.openid, NEW.id WHERE NEW.openid IS NOT NULL
    ON CONFLICT DO NOTHING;
END;

CREATE TRIGGER identities_of_erased_users AFTER UPDATE OF erased_at ON users
WHEN NEW.erased_at IS NOT NULL
BEGIN
    DELETE FROM identities WHERE user_id = NEW.id;
END;

INSERT INTO identities (provider, subject, user_id)
SELECT 'demo', demo_name, id FROM users WHERE demo_name IS NOT NULL
UNION ALL
SELECT 'wechat', openid, id FROM users WHERE openid IS NOT NULL;
