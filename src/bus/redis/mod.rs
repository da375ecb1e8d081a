//! The bus over Redis: channels keyed by the target user's id, on one or several instances.
//!
//! Each instance has a [`publisher`] and a [`subscriber`], with a connection each; what goes over
//! them is in [`wire`]. `docs/adr/0011-the-bus-on-redis.md` says why it is like this.

mod link;
mod publisher;
mod subscriber;
mod wanted;
mod wire;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use redis::{AsyncConnectionConfig, Client};
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Url;

use self::{link::Link, publisher::Publisher, subscriber::Subscriber, wire::Origin};
use super::{Bus, BusError, Receiver, Signal, WideEvent, inbox::Inbox};
use crate::{
    domain::{ReplicaId, UserId},
    instances::{ConnectError, Instances, connection_info, place, trouble},
};

pub use publisher::{PUBLISH_QUEUE, PUBLISH_QUEUE_BYTES};

/// How long a connection may take to be made, its greeting included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a sign of life stands in Redis: several probes.
const ALIVE: Duration = Duration::from_secs(15);

/// How long the answer to a batch may take; longer is a dead link.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(2);

/// The publisher's connections. One is in use at a time, which keeps the order.
const POOL_SIZE: usize = 1;

/// How long things take. The defaults are for a service; tests hurry.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How long a subscription stands on after it was ended: who comes back finds it.
    pub linger: Duration,
    /// The time between two probes. A dead link is noticed after two to three of them.
    pub probe: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { linger: Duration::from_secs(10), probe: Duration::from_secs(3) }
    }
}

/// One replica's way to the others, over Redis. Its tasks end when it is dropped.
pub struct RedisBus {
    replica: ReplicaId,
    instances: Vec<Instance>,
    shared: Instances,
    _stop: DropGuard,
}

struct Instance {
    publisher: Publisher,
    subscriber: Arc<Subscriber>,
}

/// Shows no URL.
impl fmt::Debug for RedisBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBus").field("instances", &self.instances.len()).finish_non_exhaustive()
    }
}

impl RedisBus {
    /// Connects to each of these instances. All replicas must have the same list in the same order.
    /// `namespace` is the prefix of all channels and keys.
    ///
    /// A Redis that is down is no error: it is tried again for ever, and [`Bus::health`] says so.
    /// This waits until each has been tried once, two seconds at most.
    pub async fn connect(
        urls: &[Url],
        namespace: &str,
        timing: Timing,
        shared: &Instances,
    ) -> Result<(Self, Receiver), ConnectError> {
        if urls.is_empty() {
            return Err(ConnectError::NoUrl);
        }
        let replica = ReplicaId::random();
        let channels = Arc::new(Channels::new(namespace, replica.into()));
        let (inbox, receiver) = Inbox::new();
        let inbox = Arc::new(inbox);
        let stop = CancellationToken::new();
        let mut instances = Vec::new();
        for (instance, url) in shared.of(urls) {
            let number = instance.number;
            let refused = |problem| ConnectError::Url { number, problem };
            let (pool, client) = parts(url).map_err(refused)?;
            let link = Link::new(number, "publisher");
            let (publisher, publishing) =
                Publisher::new(pool, Arc::clone(&channels), link, Arc::clone(&instance));
            let subscriber = Arc::new(Subscriber::new(
                client,
                instance,
                Arc::clone(&channels),
                timing,
                Link::new(number, "subscriber"),
                publisher.shared(),
                Arc::clone(&inbox),
            ));
            tokio::spawn(stop.clone().run_until_cancelled_owned(publishing));
            let hearing = Arc::clone(&subscriber);
            let hearing = async move { hearing.run().await };
            tokio::spawn(stop.clone().run_until_cancelled_owned(hearing));
            instances.push(Instance { publisher, subscriber });
        }
        let shared = shared.clone();
        let bus = Self { replica, instances, shared, _stop: stop.drop_guard() };
        let first = async {
            for instance in &bus.instances {
                instance.subscriber.link.tried.notified().await;
                instance.publisher.link().tried.notified().await;
            }
        };
        // What is not there by then comes later.
        let _ = tokio::time::timeout(CONNECT_TIMEOUT, first).await;
        Ok((bus, receiver))
    }

    /// How many signals wait to be published.
    pub fn queued(&self) -> usize {
        self.instances.iter().map(|instance| instance.publisher.queued()).sum()
    }

    fn instance(&self, user: UserId) -> &Instance {
        &self.instances[place(user.get().cast_unsigned(), self.instances.len())]
    }
}

#[async_trait]
impl Bus for RedisBus {
    fn publish(&self, user: UserId, signal: Signal) {
        self.instance(user).publisher.publish(user, signal);
    }

    fn publish_wide(&self, event: WideEvent) {
        // By any rule: all replicas hear all instances.
        if let Some((user, _)) = event.places.first() {
            self.instance(*user).publisher.publish_wide(event);
        }
    }

    async fn subscribe(&self, user: UserId) -> Result<(), BusError> {
        self.instance(user).subscriber.subscribe(user).await
    }

    fn unsubscribe(&self, user: UserId) {
        self.instance(user).subscriber.unsubscribe(user);
    }

    fn health(&self) -> Result<(), String> {
        self.instances.iter().try_for_each(|Instance { publisher, subscriber }| {
            subscriber.link.health().and_then(|()| publisher.link().health())
        })
    }

    fn replica(&self) -> Option<ReplicaId> {
        Some(self.replica)
    }

    async fn out_of_reach(&self, others: &[ReplicaId]) -> Result<Vec<ReplicaId>, BusError> {
        let asked = self.instances.iter().map(|instance| instance.publisher.is_alive(others));
        let alive = futures_util::future::try_join_all(asked).await?;
        let is_everywhere = |place: usize| alive.iter().all(|alive| alive[place]);
        let places = others.iter().enumerate().filter(|(place, _)| !is_everywhere(*place));
        Ok(places.map(|(_, replica)| *replica).collect())
    }

    fn renew(&self) {
        self.shared.renew_all();
    }
}

/// The names of channels and keys.
#[derive(Debug)]
struct Channels {
    origin: Origin,
    /// What this replica alone subscribes to, for its probes.
    own: String,
    /// What every replica subscribes to.
    all: String,
    user_prefix: String,
    alive_prefix: String,
}

impl Channels {
    fn new(namespace: &str, origin: Origin) -> Self {
        Self {
            origin,
            own: format!("{namespace}:replica:{:016x}", origin.0),
            all: format!("{namespace}:replicas"),
            user_prefix: format!("{namespace}:user:"),
            alive_prefix: format!("{namespace}:alive:"),
        }
    }

    fn user(&self, user: UserId) -> String {
        format!("{}{user}", self.user_prefix)
    }

    /// The key that is there while the replica can write.
    fn alive(&self, replica: Origin) -> String {
        format!("{}{:016x}", self.alive_prefix, replica.0)
    }

    fn users(&self, users: &[UserId]) -> Vec<String> {
        users.iter().map(|user| self.user(*user)).collect()
    }

    fn user_of(&self, channel: &str) -> Option<UserId> {
        let id = channel.strip_prefix(&self.user_prefix)?.parse().ok()?;
        UserId::new(id).ok()
    }
}

/// The publisher's pool and the subscriber's client, both not connected yet.
fn parts(url: &Url) -> Result<(deadpool_redis::Pool, Client), String> {
    let info = connection_info(url)?;
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(PUBLISH_TIMEOUT));
    let manager = deadpool_redis::Manager::new_with_config(info.clone(), config);
    let manager = manager.map_err(|error| trouble(&error).into_owned())?;
    let pool = deadpool_redis::Pool::builder(manager)
        .max_size(POOL_SIZE)
        .create_timeout(Some(CONNECT_TIMEOUT))
        .recycle_timeout(Some(CONNECT_TIMEOUT))
        .wait_timeout(Some(CONNECT_TIMEOUT))
        .runtime(deadpool_redis::Runtime::Tokio1)
        .build()
        .map_err(|error| error.to_string())?;
    let client = Client::open(info).map_err(|error| trouble(&error).into_owned())?;
    Ok((pool, client))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: i64) -> UserId {
        UserId::new(id).unwrap()
    }

    #[test]
    fn a_channel_names_its_user() {
        let channels = Channels::new("a:b", Origin(1));
        assert_eq!(channels.user(user(7)), "a:b:user:7");
        assert_eq!(channels.user_of("a:b:user:7"), Some(user(7)));
        for other in ["a:b:user:", "a:b:user:0", "a:b:user:x", "a:user:7", "a:b:replicas"] {
            assert_eq!(channels.user_of(other), None);
        }
    }

    async fn connect(urls: &[Url]) -> Result<(RedisBus, Receiver), ConnectError> {
        RedisBus::connect(urls, "n", Timing::default(), &Instances::new(urls.len())).await
    }

    #[tokio::test]
    async fn a_url_that_cannot_be_used_is_named_by_its_number_only() {
        for (bad, word) in [
            ("redis://:hunter2@localhost/hunter2", "database number"),
            ("rediss://:hunter2@localhost", "redis://"),
            ("http://:hunter2@localhost", "redis://"),
            ("redis://:hunter2@0.0.0.0", "wildcard"),
        ] {
            let urls = ["redis://localhost", bad].map(|url| url.parse().unwrap());
            let error = connect(&urls).await.unwrap_err();
            assert!(matches!(error, ConnectError::Url { number: 2, .. }));
            let text = format!("{error} {error:?}");
            assert!(text.contains(word) && !text.contains("hunter2"), "{text}");
        }
        assert_eq!(connect(&[]).await.unwrap_err(), ConnectError::NoUrl);
    }
}
