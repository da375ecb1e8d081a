//! Which settings cannot work, one by one or together.

use url::Url;

use super::{BusKind, ConfigError, DatabaseUrl, Settings};

impl Settings {
    /// Refuses what cannot work.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let (database, bus) = (self.database()?, self.bus_kind()?);
        if bus != BusKind::Local && matches!(database, DatabaseUrl::Sqlite(_)) {
            return Err(ConfigError::new(
                "bus.url",
                "Redis connects replicas, and the SQLite file of `database.url` cannot be shared by \
                 them; set `database.url` to postgres://…, or `bus.url` to memory://",
            ));
        }
        let is_alone = bus == BusKind::Local && !self.bus.single_replica;
        if is_alone && matches!(database, DatabaseUrl::Postgres(_)) {
            return Err(ConfigError::new(
                "bus.url",
                "memory:// reaches one process, and `database.url` is a Postgres that replicas may \
                 share: chats would come late on the others; set `bus.url` to redis://…, or \
                 `bus.single_replica` to true if there is to be one replica only",
            ));
        }
        if self.bus.namespace.is_empty()
            || !self
                .bus
                .namespace
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
        {
            return Err(ConfigError::new(
                "bus.namespace",
                "must be letters, digits, `-`, `_`, `.` or `:`, and not empty",
            ));
        }
        if self.auth.anonymous == Some(true) && !self.server.listen.ip().is_loopback() {
            return Err(ConfigError::new(
                "auth.anonymous",
                format!(
                    "true is for a loopback address only, and `server.listen` is {}: anybody in the \
                     network could speak as anybody; set it to false, or listen on 127.0.0.1",
                    self.server.listen
                ),
            ));
        }
        if self.wechat.secret.is_empty() != self.wechat.appid.is_empty() {
            return Err(ConfigError::new(
                "wechat.appid",
                "`wechat.appid` and `wechat.secret` belong together; set both or none",
            ));
        }
        for (key, url) in [
            ("wechat.base_url", Some(&self.wechat.base_url)),
            ("server.public_url", self.server.public_url.as_ref()),
        ] {
            if url.is_some_and(|url| !matches!(url.scheme(), "http" | "https")) {
                return Err(ConfigError::new(key, "must be an http or https URL"));
            }
        }
        for origin in &self.server.allowed_origins {
            check_origin(origin)?;
        }
        // Four bytes a character must fit a frame together with the rest of it.
        within("chat.max_content_chars", self.chat.max_content_chars as u64, 1, 15_000)?;
        within("chat.classic_limit", self.chat.classic_limit.into(), 1, 1_000)?;
        within("delivery.reconcile_secs", self.delivery.reconcile_secs, 1, 3_600)?;
        within("delivery.replay_limit", self.delivery.replay_limit.into(), 1, 1_000_000)?;
        within("timeline.keep_days", self.timeline.keep_days.into(), 1, 3_650)?;
        within("timeline.keep_events", self.timeline.keep_events, 100, 100_000_000)?;
        within("auth.idle_secs", self.auth.idle_secs, 1, 10 * 365 * 86_400)?;
        within("auth.max_secs", self.auth.max_secs, 1, 10 * 365 * 86_400)?;
        within("server.drain_secs", self.server.drain_secs, 0, 3_600)?;
        within("server.drain_pause_secs", self.server.drain_pause_secs.unwrap_or(0), 0, 3_600)?;
        within("limits.sends_per_sec", self.limits.sends_per_sec.into(), 1, 1_000_000)?;
        within("limits.send_burst", self.limits.send_burst.into(), 1, 1_000_000)?;
        for (key, count) in [
            ("limits.new_conversations_per_day", self.limits.new_conversations_per_day),
            ("limits.history_per_sec", self.limits.history_per_sec),
            ("limits.history_burst", self.limits.history_burst),
            ("limits.presence_per_sec", self.limits.presence_per_sec),
            ("limits.presence_burst", self.limits.presence_burst),
            ("limits.writes_per_sec", self.limits.writes_per_sec),
            ("limits.write_burst", self.limits.write_burst),
            ("limits.avatars_per_min", self.limits.avatars_per_min),
            ("limits.logins_per_min", self.limits.logins_per_min),
            ("limits.handshakes_per_min", self.limits.handshakes_per_min),
        ] {
            within(key, count.into(), 1, 1_000_000)?;
        }
        within("server.handshakes_at_once", self.server.handshakes_at_once as u64, 1, 100_000)?;
        within("server.handshakes_waiting", self.server.handshakes_waiting as u64, 0, 100_000)?;
        within("server.waiting_connections", self.server.waiting_connections as u64, 1, 1_000_000)?;
        within("limits.frames_per_sec", self.limits.frames_per_sec.into(), 1, 1_000_000)?;
        within("limits.failures_per_min", self.limits.failures_per_min.into(), 1, 1_000_000)
    }
}

fn within(key: &str, value: u64, min: u64, max: u64) -> Result<(), ConfigError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(ConfigError::new(key, format!("{value} is not within {min} to {max}")))
}

/// An origin is compared to the letter, so it must be written as browsers send it. One that is not
/// is not shown: it may be a URL with a password.
fn check_origin(origin: &str) -> Result<(), ConfigError> {
    let parsed = Url::parse(origin).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    match parsed.map(|url| url.origin().ascii_serialization()) {
        Some(canonical) if canonical == origin => Ok(()),
        Some(canonical) => Err(ConfigError::new(
            "server.allowed_origins",
            format!("an origin is not written as browsers send it; write `{canonical}`"),
        )),
        None => Err(ConfigError::new(
            "server.allowed_origins",
            "an entry is no origin; write one like `https://chat.example.com`",
        )),
    }
}
