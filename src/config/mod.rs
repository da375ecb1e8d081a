//! Settings: what `config/default.toml` documents, read, checked and given types.

mod check;
mod load;
mod values;

use std::{fmt, net::SocketAddr, path::PathBuf, time::Duration};

use ipnet::IpNet;
use serde::Deserialize;
use url::Url;

pub use load::{Overrides, load};
use values::{addresses, list, optional_address, optional_url, url};

use crate::secret::Secret;

/// How long load balancers take to notice that a replica is not ready, unless a setting says
/// otherwise.
const DRAIN_PAUSE_SECS: u64 = 2;

/// A setting that the service cannot start with. Names the key and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl ConfigError {
    /// The refusal of this key.
    pub(crate) fn new(key: &str, problem: impl std::fmt::Display) -> Self {
        Self(format!("setting `{key}`: {problem}"))
    }
}

/// All settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// HTTP and WebSocket.
    pub server: Server,
    /// Metrics.
    pub metrics: Metrics,
    /// The database.
    pub database: Database,
    /// The way between replicas.
    pub bus: Bus,
    /// Logins and sessions.
    pub auth: Auth,
    /// People.
    pub users: Users,
    /// Who is online.
    pub presence: Presence,
    /// WeChat.
    pub wechat: Wechat,
    /// Chats.
    pub chat: Chat,
    /// Delivery.
    pub delivery: Delivery,
    /// What is kept of timelines.
    pub timeline: Timeline,
    /// The outbox.
    pub outbox: Outbox,
    /// Rate limits.
    pub limits: Limits,
    /// Logs.
    pub log: Log,
}

/// HTTP and WebSocket.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Origins of pages that may use the service, as browsers send them.
    #[serde(deserialize_with = "list")]
    pub allowed_origins: Vec<String>,
    /// Networks whose forwarding headers count.
    #[serde(deserialize_with = "list")]
    pub trusted_proxies: Vec<IpNet>,
    /// The service's address as clients see it.
    #[serde(deserialize_with = "optional_url")]
    pub public_url: Option<Url>,
    /// The drain's window, in seconds.
    pub drain_secs: u64,
    /// As written, if it was; see [`Settings::drain_pause`].
    pub drain_pause_secs: Option<u64>,
    /// Most handshakes that are worked on at once.
    pub handshakes_at_once: usize,
    /// Most handshakes that wait to be worked on.
    pub handshakes_waiting: usize,
    /// Most connections of which a request, or the rest of one, is awaited.
    pub waiting_connections: usize,
}

/// Metrics.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Where to listen: unset, off, or an address.
    #[serde(default, deserialize_with = "optional_address")]
    pub listen: MetricsListen,
}

/// Where metrics are served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetricsListen {
    /// On 127.0.0.1:9090, or not at all where that is taken.
    #[default]
    Unset,
    /// Nowhere.
    Off,
    /// There, or the service does not start.
    At(SocketAddr),
}

/// The database.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// `sqlite://PATH` or `postgres://…`, which may hold a password.
    pub url: Secret,
}

/// Which database it is.
#[derive(Clone, Debug)]
pub enum DatabaseUrl {
    /// The file of a service that runs alone.
    Sqlite(PathBuf),
    /// The URL of a database that replicas can share, with the password.
    Postgres(Secret),
}

impl fmt::Display for DatabaseUrl {
    /// Where it is, without user, password and parameters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => {
                let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                path.display().fmt(f)
            }
            Self::Postgres(url) => {
                let url = Url::parse(url.reveal()).map_err(|_| fmt::Error)?;
                f.write_str("postgres://")?;
                f.write_str(url.host_str().unwrap_or_default())?;
                if let Some(port) = url.port() {
                    write!(f, ":{port}")?;
                }
                f.write_str(url.path())
            }
        }
    }
}

/// The way between replicas.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bus {
    /// `memory://`, or one or more `redis://…`; see [`Settings::bus_kind`].
    #[serde(deserialize_with = "addresses")]
    pub url: Vec<String>,
    /// Prefix of every channel and key.
    pub namespace: String,
    /// Allows the in-process bus with a shared database.
    pub single_replica: bool,
}

/// The URLs may hold passwords.
impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

/// Which bus the settings ask for.
#[derive(Clone, PartialEq, Eq)]
pub enum BusKind {
    /// The one within a process.
    Local,
    /// These instances of Redis, in this order.
    Redis(Vec<Url>),
}

/// Logins and sessions.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// As written, if it was; see [`Settings::demo_login`].
    pub demo_login: Option<bool>,
    /// As written, if it was; see [`Settings::anonymous`].
    pub anonymous: Option<bool>,
    /// Seconds of sliding use.
    pub idle_secs: u64,
    /// Seconds at most.
    pub max_secs: u64,
}

impl Auth {
    /// How long an unused session lives.
    pub fn idle(&self) -> Duration {
        Duration::from_secs(self.idle_secs)
    }

    /// How long any session lives.
    pub fn max(&self) -> Duration {
        Duration::from_secs(self.max_secs)
    }
}

/// People.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Users {
    /// As written, if it was; see [`Settings::directory`].
    pub directory: Option<bool>,
}

/// Who is online.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Presence {
    /// Who is shown the presence and typing of somebody.
    pub visible_to: VisibleTo,
}

/// Who is shown that somebody is online, was last seen, or is typing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VisibleTo {
    /// All with whom there is a conversation.
    Conversations,
    /// Those of them who have written and were answered.
    BothWrote,
}

/// WeChat.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wechat {
    /// Where code2Session is.
    #[serde(deserialize_with = "url")]
    pub base_url: Url,
    /// The mini program.
    pub appid: String,
    /// Its secret; empty: no login by WeChat.
    pub secret: Secret,
}

/// Chats.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chat {
    /// Most Unicode scalar values of a chat.
    pub max_content_chars: usize,
    /// Most chats in a classic frame.
    pub classic_limit: u32,
}

/// Delivery.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// Seconds between two comparisons with the database.
    pub reconcile_secs: u64,
    /// Most events that a socket may be behind.
    pub replay_limit: u32,
}

/// What is kept of timelines.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timeline {
    /// Days that an event is kept.
    pub keep_days: u32,
    /// Most events that are kept.
    pub keep_events: u64,
}

impl Timeline {
    /// How long an event is kept.
    pub fn age(&self) -> Duration {
        Duration::from_hours(24) * self.keep_days
    }
}

/// The outbox.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outbox {
    /// As written, if it was: whether it tells of chats from this start on. Otherwise it goes on as it is.
    pub enabled: Option<bool>,
}

/// Rate limits.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Whether there are any.
    pub enabled: bool,
    /// Sends of a user in a second.
    pub sends_per_sec: u32,
    /// Sends of a user at once.
    pub send_burst: u32,
    /// Conversations that a user begins in a day.
    pub new_conversations_per_day: u32,
    /// Reads of a user over HTTP in a second.
    pub history_per_sec: u32,
    /// Reads of a user over HTTP at once.
    pub history_burst: u32,
    /// Questions of a user who is online, in a second.
    pub presence_per_sec: u32,
    /// Questions of a user who is online, at once.
    pub presence_burst: u32,
    /// Changes of a user over HTTP that are no sends, in a second.
    pub writes_per_sec: u32,
    /// Changes of a user over HTTP that are no sends, at once.
    pub write_burst: u32,
    /// Pictures that a user uploads in a minute.
    pub avatars_per_min: u32,
    /// Logins of a user in a minute.
    pub logins_per_min: u32,
    /// Sockets of a user that open in a minute.
    pub handshakes_per_min: u32,
    /// Frames of a socket in a second.
    pub frames_per_sec: u32,
    /// Failed logins and handshakes of an address in a minute.
    pub failures_per_min: u32,
}

/// Logs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// Their form.
    pub format: LogFormat,
    /// What is logged.
    pub filter: String,
}

/// The form of logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Settings {
    /// Whether a name is enough to log in.
    pub fn demo_login(&self) -> bool {
        self.auth.demo_login.unwrap_or_else(|| self.is_at_home())
    }

    /// Whether there is a login by WeChat.
    pub fn wechat_login(&self) -> bool {
        !self.wechat.secret.is_empty()
    }

    /// Whether the seed's routes trust the user id that they are given.
    pub fn anonymous(&self) -> bool {
        self.auth.anonymous.unwrap_or_else(|| self.is_at_home())
    }

    /// Whether people can be found by name.
    pub fn directory(&self) -> bool {
        self.users.directory.unwrap_or_else(|| self.is_at_home())
    }

    /// How long a stopping replica goes on before its sockets leave: until the load balancer has seen
    /// that it is not ready. Alone there is none to wait for.
    pub fn drain_pause(&self) -> Duration {
        let alone = matches!(self.bus_kind(), Ok(BusKind::Local));
        let unset = if alone { 0 } else { DRAIN_PAUSE_SECS };
        Duration::from_secs(self.server.drain_pause_secs.unwrap_or(unset))
    }

    /// Which database it is.
    pub fn database(&self) -> Result<DatabaseUrl, ConfigError> {
        // The URL may hold a password, so no refusal shows it.
        let refused = |problem: &str| {
            let forms = "set it to sqlite://PATH or postgres://USER:PASSWORD@HOST:PORT/NAME";
            ConfigError::new("database.url", format!("{problem}; {forms}"))
        };
        let url = self.database.url.reveal();
        if let Some(path) = url.strip_prefix("sqlite://") {
            if path.is_empty() || path == ":memory:" || path.contains('?') {
                return Err(refused("SQLite needs the path of a file, without parameters"));
            }
            return Ok(DatabaseUrl::Sqlite(PathBuf::from(path)));
        }
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(refused("only SQLite and Postgres are supported"));
        }
        let parsed = Url::parse(url).map_err(|_| refused("this is no URL"))?;
        if parsed.path().trim_matches('/').is_empty() {
            return Err(refused("the name of a database is missing"));
        }
        Ok(DatabaseUrl::Postgres(self.database.url.clone()))
    }

    /// Which bus `bus.url` asks for.
    pub fn bus_kind(&self) -> Result<BusKind, ConfigError> {
        if self.bus.url == ["memory://"] {
            return Ok(BusKind::Local);
        }
        // The URLs may hold passwords, so they are not shown.
        let urls = self.bus.url.iter().map(|url| Url::parse(url).ok());
        let urls: Option<Vec<_>> =
            urls.map(|url| url.filter(|url| url.scheme() == "redis" && url.has_host())).collect();
        urls.map(BusKind::Redis).ok_or_else(|| {
            ConfigError::new(
                "bus.url",
                "set it to memory://, to redis://[:PASSWORD@]HOST[:PORT], or to a list of such; \
                 a comma in a password is written %2C",
            )
        })
    }

    /// SQLite on a loopback address: somebody's own machine.
    fn is_at_home(&self) -> bool {
        self.server.listen.ip().is_loopback() && self.database.url.reveal().starts_with("sqlite://")
    }
}
