//! Settings: what `config/default.toml` documents, read once into final types.

mod auth;
mod check;
mod endpoints;
mod limits;
mod load;
mod moderation;
mod subscribe;
mod urls;
mod values;
mod wechat;

use std::{net::SocketAddr, time::Duration};

use ipnet::IpNet;
use serde::Deserialize;
use url::Url;

pub use auth::{Auth, Jwt, UserSig};
pub use endpoints::Endpoint;
use endpoints::endpoints;
pub use limits::Limits;
pub use load::{Overrides, load};
pub use moderation::{Moderation, WechatMedia};
pub use subscribe::Subscribe;
pub use urls::{BusKind, DatabaseUrl, MediaUrl};
use values::{
    days, list, metrics_listen, millis, namespace, optional_address, optional_http_url, origins,
    secs, within,
};
pub use wechat::{Wechat, WechatApp};

use crate::{
    domain::{
        OnFailure, WhoMayWrite,
        group::{GroupHistory, GroupRules, WhoMayAdd},
    },
    secret::Secret,
};

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
    /// The server API.
    pub admin: Admin,
    /// The operators' page.
    pub console: Console,
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
    /// Groups.
    pub groups: Groups,
    /// The company's own back end, asked before something is done.
    pub hooks: Hooks,
    /// Machines that check what people write.
    pub moderation: Moderation,
    /// Delivery.
    pub delivery: Delivery,
    /// What is kept of timelines.
    pub timeline: Timeline,
    /// The outbox.
    pub outbox: Outbox,
    /// The audit log.
    pub audit: Audit,
    /// The pull feed.
    pub feed: Feed,
    /// Webhooks.
    pub webhooks: Webhooks,
    /// Pictures, voice and files.
    pub media: Media,
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
    #[serde(deserialize_with = "origins")]
    pub allowed_origins: Vec<String>,
    /// Networks whose forwarding headers count.
    #[serde(deserialize_with = "list")]
    pub trusted_proxies: Vec<IpNet>,
    /// The service's address as clients see it.
    #[serde(deserialize_with = "optional_http_url")]
    pub public_url: Option<Url>,
    /// The time over which a stopping replica closes its sockets.
    #[serde(rename = "drain_secs", deserialize_with = "secs::<0, 3_600, _>")]
    pub drain: Duration,
    /// The time before that in which load balancers notice that the replica is not ready.
    #[serde(rename = "drain_pause_secs", deserialize_with = "secs::<0, 3_600, _>")]
    pub drain_pause: Duration,
    /// Most handshakes that are worked on at once.
    #[serde(deserialize_with = "within::<1, 100_000, _, _>")]
    pub handshakes_at_once: usize,
    /// Most handshakes that wait to be worked on.
    #[serde(deserialize_with = "within::<0, 100_000, _, _>")]
    pub handshakes_waiting: usize,
    /// Most connections of which a request, or the rest of one, is awaited.
    #[serde(deserialize_with = "within::<1, 1_000_000, _, _>")]
    pub waiting_connections: usize,
}

/// Metrics.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Where to listen: unset, off, or an address.
    #[serde(default, deserialize_with = "metrics_listen")]
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

/// The server API.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// Where to listen; `None`: on the main listener.
    #[serde(deserialize_with = "optional_address")]
    pub listen: Option<SocketAddr>,
}

/// The operators' page.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Console {
    /// Whether there is one.
    pub enabled: bool,
}

/// The database.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// Where it is.
    pub url: DatabaseUrl,
}

/// The way between replicas.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bus {
    /// What connects the replicas.
    #[serde(rename = "url")]
    pub kind: BusKind,
    /// Prefix of every channel and key.
    #[serde(deserialize_with = "namespace")]
    pub namespace: String,
    /// Allows the in-process bus with a shared database.
    pub single_replica: bool,
}

/// People.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Users {
    /// Whether people can be found by name.
    pub directory: bool,
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

/// Chats.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chat {
    /// Most Unicode scalar values of a chat: four bytes each must fit a frame together with its other fields.
    #[serde(deserialize_with = "within::<1, 15_000, _, _>")]
    pub max_content_chars: usize,
    /// Into which conversations users may write.
    pub who_may_write: WhoMayWrite,
    /// For how long a sender may recall a chat.
    #[serde(rename = "recall_secs", deserialize_with = "secs::<0, 315_360_000, _>")]
    pub recall: Duration,
    /// Most chats in a frame of a legacy socket.
    #[serde(deserialize_with = "within::<1, 1_000, _, _>")]
    pub classic_limit: u32,
}

/// Groups.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Groups {
    /// Most members.
    #[serde(deserialize_with = "within::<2, 2_000, _, _>")]
    pub max_members: usize,
    /// Who may add members.
    pub who_may_add: WhoMayAdd,
    /// What new members may read.
    pub history: GroupHistory,
}

impl Groups {
    /// These as the rules of all groups.
    pub fn rules(&self) -> GroupRules {
        let &Self { max_members, who_may_add, history } = self;
        GroupRules { max_members, who_may_add, history }
    }
}

/// The company's own back end, asked before something is done.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hooks {
    /// Before a chat is sent.
    pub before_send: BeforeSend,
}

/// The hook before a chat is sent.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BeforeSend {
    /// Whom to ask; `None`: nobody.
    #[serde(deserialize_with = "optional_http_url")]
    pub url: Option<Url>,
    /// What questions are signed with.
    pub secret: Secret,
    /// How long an answer may take.
    #[serde(rename = "timeout_ms", deserialize_with = "millis::<1, 2_000, _>")]
    pub timeout: Duration,
    /// What becomes of a chat without an answer.
    pub on_failure: OnFailure,
}

/// Delivery.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// The time between two comparisons with the database.
    #[serde(rename = "reconcile_secs", deserialize_with = "secs::<1, 3_600, _>")]
    pub reconcile_every: Duration,
    /// Most events that a socket may be behind.
    #[serde(deserialize_with = "within::<1, 1_000_000, _, _>")]
    pub replay_limit: u32,
}

/// What is kept of timelines.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timeline {
    /// How long an event is kept.
    #[serde(rename = "keep_days", deserialize_with = "days::<1, 3_650, _>")]
    pub keep: Duration,
    /// Most events that are kept.
    #[serde(deserialize_with = "within::<100, 100_000_000, _, _>")]
    pub keep_events: u64,
}

/// The outbox.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outbox {
    /// Whether commits write into it from this start on; `None`: as before.
    pub enabled: Option<bool>,
}

/// The audit log.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    /// How long an entry is kept.
    #[serde(rename = "keep_days", deserialize_with = "days::<1, 3_650, _>")]
    pub keep: Duration,
}

/// The pull feed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feed {
    /// Whether there is one.
    pub enabled: bool,
}

/// Webhooks.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhooks {
    /// Who is told what happens.
    #[serde(deserialize_with = "endpoints")]
    pub endpoints: Vec<Endpoint>,
    /// Whether endpoints may be in private networks.
    pub allow_private: bool,
}

/// Pictures, voice and files.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Media {
    /// Where their bytes are.
    pub url: MediaUrl,
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
    /// Whether there is a login by JWT.
    pub fn jwt_login(&self) -> bool {
        !self.auth.jwt.algorithms.is_empty()
    }

    /// Whether the outbox has readers.
    pub fn reads_outbox(&self) -> bool {
        let has_messages = self.wechat.subscribe.template_id.is_some();
        self.feed.enabled || !self.webhooks.endpoints.is_empty() || has_messages
    }

    /// Whether there is a login by WeChat.
    pub fn wechat_login(&self) -> bool {
        !self.wechat.mini_programs().is_empty()
    }
}
