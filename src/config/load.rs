//! Where settings come from, and which of them win.

use std::{net::SocketAddr, path::PathBuf};

use config::{Config, ConfigBuilder, Environment, File, FileFormat, builder::DefaultState};

use super::{BusKind, ConfigError, DatabaseUrl, Settings};

/// Compiled in, so that the program runs alone.
const DEFAULTS: &str = include_str!("../../config/default.toml");

/// How long load balancers take to notice that a replica is not ready. Alone there is none to wait for.
const DRAIN_PAUSE_SECS: u64 = 2;

/// What the command line says about settings.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// A file of settings.
    pub file: Option<PathBuf>,
    /// Keys such as `server.listen`, with their values; the last of a key wins.
    pub values: Vec<(String, String)>,
}

/// Reads all settings: the defaults, then the file, the environment and the flags.
pub fn load(overrides: &Overrides) -> Result<Settings, ConfigError> {
    load_from(overrides, None)
}

/// As [`load`], with this environment instead of the process's.
fn load_from(
    overrides: &Overrides,
    environment: Option<config::Map<String, String>>,
) -> Result<Settings, ConfigError> {
    let mut builder = Config::builder().add_source(File::from_str(DEFAULTS, FileFormat::Toml));
    if let Some(path) = &overrides.file {
        if !path.is_file() {
            return Err(ConfigError(format!(
                "settings file {}: there is no such file; name another one with --config or \
                 IMSERVER_CONFIG",
                path.display()
            )));
        }
        builder = builder.add_source(File::from(path.as_path()).format(FileFormat::Toml));
    }
    builder = builder.add_source(
        Environment::with_prefix("IMSERVER")
            .prefix_separator("__")
            .separator("__")
            .source(environment),
    );
    for (key, value) in &overrides.values {
        builder = builder
            .set_override(key.as_str(), value.as_str())
            .map_err(|error| ConfigError::new(key, error))?;
    }
    let settings = parse(builder)
        .map_err(|error| ConfigError(format!("{}; see config/default.toml", describe(&error))))?;
    settings.check()?;
    Ok(settings)
}

/// Fills in the defaults that depend on other settings, and gives everything its type.
fn parse(mut builder: ConfigBuilder<DefaultState>) -> Result<Settings, config::ConfigError> {
    let read = builder.build_cloned()?;
    let is_loopback = read.get::<SocketAddr>("server.listen")?.ip().is_loopback();
    // SQLite on a loopback address: somebody's own machine.
    let is_at_home = is_loopback && matches!(read.get("database.url")?, DatabaseUrl::Sqlite(_));
    for key in ["auth.demo_login", "auth.anonymous", "users.directory"] {
        builder = builder.set_default(key, is_at_home)?;
    }
    let is_alone = read.get::<BusKind>("bus.url")? == BusKind::Local;
    let drain_pause = if is_alone { 0 } else { DRAIN_PAUSE_SECS };
    builder.set_default("server.drain_pause_secs", drain_pause)?.build()?.try_deserialize()
}

/// Says which key is wrong, and where it stands, but never its value: that may be a secret.
fn describe(error: &config::ConfigError) -> String {
    use config::ConfigError::{At, FileParse, Type};

    let place = |origin: &Option<String>| {
        origin.as_ref().map(|origin| format!(" (from {origin})")).unwrap_or_default()
    };
    match error {
        Type { expected, key: Some(key), origin, .. } => {
            format!("setting `{key}`: must be {expected}{}", place(origin))
        }
        At { error, key: Some(key), origin } => {
            format!("setting `{key}`: {}{}", without_value(&error.to_string()), place(origin))
        }
        // After its first line the parser shows the line of the file.
        FileParse { uri, cause } => {
            let cause = cause.to_string();
            let first = cause.lines().next().unwrap_or_default();
            format!("settings file {}: {first}", uri.as_deref().unwrap_or_default())
        }
        other => format!("settings: {}", without_value(&other.to_string())),
    }
}

/// Leaves out what was found instead of what was expected.
fn without_value(problem: &str) -> String {
    match (problem.starts_with("invalid "), problem.rsplit_once(", expected ")) {
        (true, Some((_, expected))) => format!("must be {expected}"),
        _ => problem.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, time::Duration};

    use super::*;
    use crate::config::{MediaUrl, MetricsListen};

    fn with(env: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        let own = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        let overrides = Overrides { file: None, values: own(flags) };
        load_from(&overrides, Some(own(env).into_iter().collect()))
    }

    fn refusal(env: &[(&str, &str)]) -> String {
        with(env, &[]).unwrap_err().to_string()
    }

    #[test]
    fn the_defaults_are_those_of_somebodys_own_machine() {
        let settings = with(&[], &[]).unwrap();
        assert!(settings.auth.demo_login && settings.auth.anonymous && settings.users.directory);
        assert_eq!(settings.metrics.listen, MetricsListen::Unset);
        assert_eq!(settings.timeline.keep, Duration::from_hours(90 * 24));
        assert_eq!(settings.timeline.keep_events, 100_000);
        assert_eq!(settings.outbox.enabled, None);
        assert!(!settings.reads_outbox() && !settings.webhooks.allow_private);
        assert_eq!(settings.server.drain_pause, Duration::ZERO);
        let DatabaseUrl::Sqlite(path) = settings.database.url else { panic!("no SQLite") };
        assert!(path.ends_with("data/imserver.db"));
        assert_eq!(settings.media.url, MediaUrl::Folder("data/media".into()));
    }

    #[test]
    fn with_postgres_nothing_is_open_by_default_and_no_password_is_shown() {
        let url = "postgres://ann:hunter2@db.example:5433/chat?sslmode=require&password=hunter2";
        let env = [("IMSERVER__DATABASE__URL", url), ("IMSERVER__BUS__SINGLE_REPLICA", "true")];
        let settings = with(&env, &[]).unwrap();
        assert!(!settings.auth.demo_login && !settings.auth.anonymous && !settings.users.directory);
        assert_eq!(settings.database.url.to_string(), "postgres://db.example:5433/chat");
        assert!(!format!("{settings:?}").contains("hunter2"));

        let text = refusal(&env[..1]);
        for named in ["bus.url", "bus.single_replica", "database.url", "true"] {
            assert!(text.contains(named), "{text}");
        }
        assert!(!text.contains("hunter2") && !text.contains("db.example"), "{text}");
    }

    #[test]
    fn off_loopback_nothing_is_open_by_default() {
        let settings = with(&[("IMSERVER__SERVER__LISTEN", "0.0.0.0:80")], &[]).unwrap();
        assert!(!settings.auth.demo_login && !settings.auth.anonymous && !settings.users.directory);
    }

    #[test]
    fn the_later_source_wins() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        write!(file, "[chat]\nclassic_limit = 7\nmax_content_chars = 70\n[auth]\nidle_secs = 77\n")
            .unwrap();
        let overrides = Overrides {
            file: Some(file.path().to_owned()),
            values: vec![("auth.idle_secs".into(), "99".into())],
        };
        let env = [
            ("IMSERVER__CHAT__MAX_CONTENT_CHARS".to_owned(), "80".to_owned()),
            ("IMSERVER__AUTH__IDLE_SECS".to_owned(), "88".to_owned()),
        ];
        let settings = load_from(&overrides, Some(env.into_iter().collect())).unwrap();
        assert_eq!(settings.chat.classic_limit, 7);
        assert_eq!(settings.chat.max_content_chars, 80);
        assert_eq!(settings.auth.idle, Duration::from_secs(99));
    }

    #[test]
    fn lists_come_with_commas_and_secrets_stay_text() {
        let settings = with(
            &[
                ("IMSERVER__SERVER__ALLOWED_ORIGINS", "https://a.example, https://b.example:8443"),
                ("IMSERVER__SERVER__TRUSTED_PROXIES", "10.0.0.0/8,::1/128"),
                ("IMSERVER__METRICS__LISTEN", ""),
                ("IMSERVER__WECHAT__APPID", "007"),
                ("IMSERVER__WECHAT__SECRET", "0123"),
            ],
            &[],
        )
        .unwrap();
        assert_eq!(
            settings.server.allowed_origins,
            ["https://a.example", "https://b.example:8443"]
        );
        assert_eq!(settings.server.trusted_proxies.len(), 2);
        assert_eq!(settings.metrics.listen, MetricsListen::Off);
        assert_eq!(settings.wechat.appid, "007");
    }

    /// What these lines are read as.
    fn in_a_file(lines: &str) -> Result<Settings, ConfigError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(lines.as_bytes()).unwrap();
        let overrides = Overrides { file: Some(file.path().to_owned()), values: Vec::new() };
        load_from(&overrides, Some(config::Map::new()))
    }

    #[test]
    fn mini_programs_come_in_a_list_behind_the_one_by_itself() {
        let two = "[[wechat.apps]]\nappid = 'wx2'\nsecret = 's2'\n\
                   [[wechat.apps]]\nappid = 'wx3'\nsecret = 's3'\n";
        let one = "[wechat]\nappid = 'wx1'\nsecret = 's1'\n";
        for (lines, expected) in [
            (String::new(), &[][..]),
            (one.to_owned(), &["wx1"][..]),
            (two.to_owned(), &["wx2", "wx3"][..]),
            (format!("{one}{two}"), &["wx1", "wx2", "wx3"][..]),
        ] {
            let settings = in_a_file(&lines).unwrap();
            let apps = settings.wechat.mini_programs();
            let appids: Vec<_> = apps.iter().map(|app| app.appid.as_str()).collect();
            assert_eq!(appids, expected);
            assert_eq!(settings.wechat_login(), !expected.is_empty());
        }
        for (lines, named) in [
            (format!("{one}{two}[[wechat.apps]]\nappid = 'wx2'\nsecret = 'x'\n"), "twice"),
            ("[[wechat.apps]]\nappid = 'wx2'\nsecret = ''\n".to_owned(), "no secret"),
            ("[[wechat.apps]]\nappid = ''\nsecret = 's'\n".to_owned(), "no appid"),
        ] {
            let text = in_a_file(&lines).unwrap_err().to_string();
            assert!(text.contains("wechat.apps") && text.contains(named), "{text}");
        }
    }

    #[test]
    fn a_template_has_fields_and_a_mini_program() {
        let template = "[wechat.subscribe]\ntemplate_id = 't-1'\n\
                        [wechat.subscribe.fields]\nthing1 = 'preview'\nname2 = 'sender'\n";
        let app = "[wechat]\nappid = 'wx1'\nsecret = 's1'\n";
        let settings = in_a_file(&format!("{app}{template}")).unwrap();
        let fields = settings.wechat.subscribe.fields.iter().map(|field| field.name.as_str());
        assert_eq!(fields.collect::<Vec<_>>(), ["name2", "thing1"]);
        assert!(settings.reads_outbox() && !in_a_file(app).unwrap().reads_outbox());
        let text = in_a_file(template).unwrap_err().to_string();
        assert!(text.contains("wechat.subscribe.template_id"), "{text}");
        let off = format!("[outbox]\nenabled = false\n{app}{template}");
        assert!(in_a_file(&off).unwrap_err().to_string().contains("outbox.enabled"));
    }

    #[test]
    fn tokens_are_taken_where_all_is_said_of_them() {
        let jwt = "[auth.jwt]\nissuer = 'i'\naudience = 'a'\n";
        let key =
            "[[auth.jwt.keys]]\nalgorithm = 'HS256'\nkey = '0123456789abcdef0123456789-secret'\n";
        let url = "jwks_url = 'http://10.0.0.1/keys'\n";
        assert!(!in_a_file("").unwrap().jwt_login());
        for lines in [
            format!("{jwt}algorithms = ['HS256']\n{key}"),
            format!("{jwt}algorithms = ['HS256', 'EdDSA']\n{url}{key}"),
            format!("{jwt}algorithms = ['RS256']\n{url}"),
        ] {
            let settings = in_a_file(&lines).unwrap();
            assert!(settings.jwt_login());
            assert!(!format!("{settings:?}").contains("secret'"));
        }
        for (lines, named) in [
            (format!("{jwt}algorithms = ['RS256']\n"), "auth.jwt.jwks_url"),
            (format!("{jwt}{key}"), "auth.jwt.algorithms"),
            (key.to_owned(), "auth.jwt.issuer"),
            (format!("{jwt}algorithms = ['HS256']\n{}", key.replace("456789-", "")), "32 bytes"),
        ] {
            let text = in_a_file(&lines).unwrap_err().to_string();
            assert!(text.contains(named), "{text}");
        }
    }

    #[test]
    fn one_redis_or_several_are_a_bus_and_their_passwords_stay_hidden() {
        let database = ("IMSERVER__DATABASE__URL", "postgres://h/d");
        assert_eq!(with(&[], &[]).unwrap().bus.kind, BusKind::Local);
        let urls = ["redis://:hunter2@a:7000/1", "redis://b"];
        let bus = urls.join(",");
        let settings = with(&[database, ("IMSERVER__BUS__URL", &bus)], &[]).unwrap();
        assert_eq!(settings.bus.kind, BusKind::Redis(urls.map(|url| url.parse().unwrap()).into()));
        assert_eq!(settings.server.drain_pause, Duration::from_secs(DRAIN_PAUSE_SECS));
        assert!(!format!("{settings:?}").contains("hunter2"));
    }

    #[test]
    fn a_bucket_has_a_prefix_and_options() {
        let url = "s3://bucket/im/media?region=cn-north-1&endpoint=https://s3.example";
        let settings = with(&[("IMSERVER__MEDIA__URL", url)], &[]).unwrap();
        assert_eq!(settings.media.url.to_string(), "s3://bucket/im/media");
        let MediaUrl::S3 { bucket, prefix, options } = settings.media.url else { panic!("no S3") };
        assert_eq!((&*bucket, &*prefix), ("bucket", "im/media"));
        let own = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        let expected = [("region", "cn-north-1"), ("endpoint", "https://s3.example")];
        assert_eq!(options, expected.map(own));
    }

    #[test]
    fn endpoints_of_webhooks_are_tables_or_json() {
        const ENDPOINTS: &str = "IMSERVER__WEBHOOKS__ENDPOINTS";
        let secret = "whsec_aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMg==";
        let one = |name: &str, url: &str, secret: &str, kinds: &[&str]| serde_json::json!({"name": name, "url": url, "secret": secret, "kinds": kinds});
        let crm = one("crm", "https://c.example/hook?key=hunter2", secret, &["chat.created"]);
        let json = serde_json::json!([crm]).to_string();
        let settings = with(&[(ENDPOINTS, &json)], &[]).unwrap();
        let [endpoint] = &settings.webhooks.endpoints[..] else { panic!("not one") };
        assert_eq!((&*endpoint.name, &*endpoint.kinds), ("crm", &["chat.created".to_owned()][..]));
        assert!(settings.reads_outbox());
        assert!(!format!("{settings:?}").contains("hunter2"));

        let mut file = tempfile::NamedTempFile::new().unwrap();
        let text = format!(
            "[[webhooks.endpoints]]\nname = \"a\"\nurl = \"http://a\"\nsecret = \"{secret}\"\n"
        );
        file.write_all(text.as_bytes()).unwrap();
        let overrides = Overrides { file: Some(file.path().to_owned()), values: Vec::new() };
        let settings = load_from(&overrides, Some(config::Map::new())).unwrap();
        assert_eq!(settings.webhooks.endpoints.len(), 1);

        let url = "https://c.example/";
        for (wrong, named) in [
            (vec![one("CRM", url, secret, &[])], "`name`"),
            (vec![one("crm", "ftp://hunter2", secret, &[])], "`url` of crm"),
            (vec![one("crm", "https://u:hunter2@h/", secret, &[])], "`url` of crm"),
            (vec![one("crm", url, "hunter2", &[])], "`secret` of crm"),
            (vec![one("crm", url, secret, &["chat.made"])], "`chat.made` of crm"),
            (vec![crm.clone(), crm], "same `name`"),
        ] {
            let text = refusal(&[(ENDPOINTS, &serde_json::Value::from(wrong).to_string())]);
            assert!(text.contains("webhooks.endpoints") && text.contains(named), "{text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
        let text = refusal(&[(ENDPOINTS, &json), ("IMSERVER__OUTBOX__ENABLED", "false")]);
        assert!(text.contains("outbox.enabled"), "{text}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (key, value, named) in [
            ("IMSERVER__DATABSE__URL", "x", "databse"),
            ("IMSERVER__SERVER__LISTNE", "x", "listne"),
            ("IMSERVER__SERVER__LISTEN", "nowhere", "server.listen"),
            ("IMSERVER__SERVER__DRAIN_SECS", "soon", "drain_secs"),
            ("IMSERVER__AUTH__DEMO_LOGIN", "perhaps", "demo_login"),
            ("IMSERVER__DATABASE__URL", "mysql://u:hunter2@h/d", "database.url"),
            ("IMSERVER__DATABASE__URL", "postgres://u:hunter2@h:x/d", "database.url"),
            ("IMSERVER__DATABASE__URL", "postgres://u:hunter2@h", "name of a database"),
            ("IMSERVER__BUS__URL", "kafka://", "bus.url"),
            ("IMSERVER__BUS__URL", "redis://:hunter2@r/,memory://", "bus.url"),
            ("IMSERVER__BUS__URL", "redis://:hunter2@", "bus.url"),
            ("IMSERVER__BUS__URL", "redis://:hunter2@r", "`database.url` to postgres://"),
            ("IMSERVER__BUS__URL", "redis://:hunter2@r", "`bus.url` to memory://"),
            ("IMSERVER__CHAT__MAX_CONTENT_CHARS", "0", "chat.max_content_chars"),
            ("IMSERVER__TIMELINE__KEEP_DAYS", "0", "timeline.keep_days"),
            ("IMSERVER__TIMELINE__KEEP_DAYS", "3651", "timeline.keep_days"),
            ("IMSERVER__TIMELINE__KEEP_EVENTS", "99", "timeline.keep_events"),
            ("IMSERVER__TIMELINE__KEEP_EVENTS", "-1", "timeline.keep_events"),
            ("IMSERVER__BUS__NAMESPACE", "im server", "bus.namespace"),
            ("IMSERVER__SERVER__PUBLIC_URL", "ftp://a", "http or https"),
            ("IMSERVER__OUTBOX__ENABLED", "perhaps", "outbox.enabled"),
            ("IMSERVER__FEED__ENABLED", "perhaps", "feed.enabled"),
            ("IMSERVER__WEBHOOKS__ENDPOINTS", "hunter2", "webhooks.endpoints"),
            ("IMSERVER__WEBHOOKS__ENDPOINTS", r#"["hunter2"]"#, "webhooks.endpoints"),
            ("IMSERVER__MEDIA__URL", "ftp://u:hunter2@h", "media.url"),
            ("IMSERVER__MEDIA__URL", "file://", "media.url"),
            ("IMSERVER__MEDIA__URL", "s3://u:hunter2@bucket", "media.url"),
            ("IMSERVER__MEDIA__URL", "s3://b?aws_access_key_id=hunter2", "AWS_ACCESS_KEY_ID"),
            ("IMSERVER__LIMITS__UPLOAD_MB_PER_DAY", "0", "limits.upload_mb_per_day"),
            ("IMSERVER__SERVER__ALLOWED_ORIGINS", "https://a.example/", "https://a.example`"),
            ("IMSERVER__SERVER__TRUSTED_PROXIES", "10.0.0.0/99", "trusted_proxies"),
            ("IMSERVER__WECHAT__SECRET", "hunter2", "wechat.appid"),
            ("IMSERVER__AUTH__JWT__ISSUER", "x", "auth.jwt.audience"),
            ("IMSERVER__AUTH__JWT__ALGORITHMS", "RS256", "auth.jwt.issuer"),
            ("IMSERVER__AUTH__JWT__ALGORITHMS", "RS256,none", "auth.jwt.algorithms"),
            ("IMSERVER__AUTH__JWT__JWKS_URL", "ftp://h/keys", "auth.jwt.jwks_url"),
            ("IMSERVER__AUTH__USERSIG__SECRET", "hunter2", "auth.usersig.app_id"),
            ("IMSERVER__AUTH__USERSIG__APP_ID", "1400000000", "auth.usersig.secret"),
            ("IMSERVER__AUTH__USERSIG__APP_ID", "-1", "auth.usersig.app_id"),
            ("IMSERVER__HOOKS__BEFORE_SEND__URL", "http://h", "hooks.before_send.secret"),
            ("IMSERVER__HOOKS__BEFORE_SEND__TIMEOUT_MS", "2001", "before_send.timeout_ms"),
            ("IMSERVER__HOOKS__BEFORE_SEND__ON_FAILURE", "perhaps", "before_send.on_failure"),
            ("IMSERVER__CHAT__WHO_MAY_WRITE", "nobody", "chat.who_may_write"),
            ("IMSERVER__WECHAT__SUBSCRIBE__TEMPLATE_ID", "模板", "subscribe.template_id"),
            ("IMSERVER__WECHAT__SUBSCRIBE__TEMPLATE_ID", "t", "wechat.subscribe.fields"),
            ("IMSERVER__WECHAT__SUBSCRIBE__FIELDS", r#"{"thing1":"preview"}"#, "template_id"),
            ("IMSERVER__WECHAT__SUBSCRIBE__FIELDS", r#"{"amount1":"preview"}"#, "`amount1`"),
            ("IMSERVER__WECHAT__SUBSCRIBE__FIELDS", r#"{"thing1":"hunter2"}"#, "`thing1`"),
            ("IMSERVER__WECHAT__SUBSCRIBE__FIELDS", r#"{"time1":"sender"}"#, "`time1`"),
            ("IMSERVER__WECHAT__SUBSCRIBE__FIELDS", "hunter2", "subscribe.fields"),
            ("IMSERVER__WECHAT__SUBSCRIBE__FIELDS", r#"{"thing1":7}"#, "subscribe.fields"),
            ("IMSERVER__WECHAT__SUBSCRIBE__SHOW_CONTENT", "perhaps", "show_content"),
            ("IMSERVER__LOG__FORMAT", "xml", "format"),
        ] {
            let text = refusal(&[(key, value)]);
            assert!(text.contains(named), "{key}={value}: {text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
        for (key, value) in [
            ("IMSERVER__DATABASE", "postgres://u:hunter2@h/d"),
            ("IMSERVER__AUTH__IDLE_SECS", "hunter2"),
            ("IMSERVER__AUTH__ANONYMOUS", "hunter2"),
            ("IMSERVER__WECHAT__BASE_URL", "hunter2"),
            ("IMSERVER__SERVER__PUBLIC_URL", "u:hunter2@h"),
            ("IMSERVER__SERVER__ALLOWED_ORIGINS", "https://u:hunter2@h"),
            ("IMSERVER__SERVER__ALLOWED_ORIGINS", "hunter2"),
        ] {
            let text = refusal(&[(key, value)]);
            let named = key.to_lowercase().replace("imserver__", "").replace("__", ".");
            assert!(text.contains(&named) && !text.contains("hunter2"), "{text}");
        }
        let text = refusal(&[
            ("IMSERVER__SERVER__LISTEN", "0.0.0.0:80"),
            ("IMSERVER__AUTH__ANONYMOUS", "true"),
        ]);
        assert!(text.contains("auth.anonymous") && text.contains("127.0.0.1"), "{text}");
    }
}
