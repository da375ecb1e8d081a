//! What the front ends, HTTP and WebSocket, work with.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    accounts::Accounts,
    admin::Admin,
    auth::{host::HostPolicy, origin::OriginPolicy},
    bus::Bus,
    clock::Timestamp,
    config::Settings,
    delivery::Delivery,
    drain::Drain,
    export::Exporter,
    limits::{HandshakeGate, Limits},
    media::MediaLibrary,
    messaging::Messaging,
    moderation::Moderation,
    outbox::{feed::Feed, webhooks::Webhooks},
    presence::Presence,
    redis::Instances,
    store::Store,
    subscribe::Subscriptions,
    wechat_events::WechatPush,
};

/// The parts of a running replica.
pub struct Service {
    /// The settings.
    pub settings: Settings,
    /// Logins, sessions and faces.
    pub accounts: Accounts,
    /// Pictures, voice and files.
    pub media: MediaLibrary,
    /// What a company's own back end can do.
    pub admin: Admin,
    /// What hands a user all that is kept of them.
    pub exporter: Exporter,
    /// The pull feed, if there is one.
    pub feed: Option<Feed>,
    /// The endpoints that are told what happens.
    pub webhooks: Webhooks,
    /// What users let WeChat tell them, if anything is asked.
    pub subscriptions: Option<Subscriptions>,
    /// What a user can do with chats.
    pub messaging: Messaging,
    /// What whoever keeps order does.
    pub moderation: Moderation,
    /// The way in for what WeChat pushes.
    pub wechat_push: WechatPush,
    /// The way to the sockets.
    pub delivery: Arc<Delivery>,
    /// The database, for the question whether it is there.
    pub store: Arc<dyn Store>,
    /// The way between replicas, for the question whether it stands.
    pub bus: Arc<dyn Bus>,
    /// The Redis instances, for the question what they refuse.
    pub instances: Instances,
    /// The register of who is online, to be left at the end.
    pub presence: Arc<dyn Presence>,
    /// How often who may do what.
    pub limits: Limits,
    /// How many handshakes are worked on at once.
    pub handshakes: HandshakeGate,
    /// By which names it may be reached.
    pub hosts: HostPolicy,
    /// Which pages may use the service.
    pub origins: OriginPolicy,
    /// The sockets' tasks: the framework forgets them when it stops.
    pub sockets: TaskTracker,
    /// Cancelled when the replica begins to stop.
    pub stopping: CancellationToken,
    /// How its clients leave then.
    pub drain: Drain,
    /// When the replica began.
    pub started_at: Timestamp,
    /// How many chats it has committed since then.
    pub sends: Arc<AtomicU64>,
    /// Whether the replica has started.
    pub started: AtomicBool,
}

impl Service {
    /// Whether new work is welcome.
    pub fn is_open(&self) -> bool {
        self.started.load(Ordering::Acquire) && !self.stopping.is_cancelled()
    }
}
