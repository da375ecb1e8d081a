//! The bus over Redis: channels keyed by the target user's id, on one or several instances.
//!
//! Each instance has a [`publisher`] and a [`subscriber`], with a connection each; what goes over
//! them is in [`wire`]. `docs/adr/0011-the-bus-on-redis.md` says why it is like this.

mod publisher;
mod subscriber;
mod subscriptions;
mod wire;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio_util::sync::{CancellationToken, DropGuard};

use self::{
    publisher::Publisher,
    subscriber::Subscriber,
    wire::{Message, Origin},
};
use super::{Bus, BusError, Receiver, Signal, WideEvent, inbox::Inbox};
use crate::{
    domain::{ReplicaId, UserId},
    redis::{Instances, place},
};

pub use publisher::{PUBLISH_QUEUE, PUBLISH_QUEUE_BYTES};

/// How long a connection may take to be made, its greeting included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

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
    instances: Instances,
    /// Both directions of each instance.
    ways: Vec<Way>,
    _stop: DropGuard,
}

struct Way {
    publisher: Publisher,
    subscriber: Arc<Subscriber>,
}

impl fmt::Debug for RedisBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBus").field("instances", &self.instances).finish_non_exhaustive()
    }
}

impl RedisBus {
    /// Connects to each of these instances. `namespace` is the prefix of all channels and keys.
    ///
    /// A Redis that is down is no error: it is tried again for ever, and [`Bus::health`] says so.
    /// This waits until each has been tried once, two seconds at most.
    pub async fn connect(
        instances: &Instances,
        namespace: &str,
        timing: Timing,
    ) -> (Self, Receiver) {
        let replica = ReplicaId::random();
        let channels = Arc::new(Channels::new(namespace, replica.into()));
        let (inbox, receiver) = Inbox::new();
        let inbox = Arc::new(inbox);
        let stop = CancellationToken::new();
        let connect = |instance| {
            let (publisher, publishing) = Publisher::new(instance, &channels, timing.probe);
            let subscriber = Arc::new(Subscriber::new(instance, &channels, timing, &inbox));
            tokio::spawn(stop.clone().run_until_cancelled_owned(publishing));
            let hearing = Arc::clone(&subscriber).run();
            tokio::spawn(stop.clone().run_until_cancelled_owned(hearing));
            Way { publisher, subscriber }
        };
        let ways: Vec<_> = instances.iter().map(connect).collect();
        let first = async {
            for Way { publisher, subscriber } in &ways {
                subscriber.link.tried().await;
                publisher.link().tried().await;
            }
        };
        // What is not there by then comes later.
        let _ = tokio::time::timeout(CONNECT_TIMEOUT, first).await;
        let instances = instances.clone();
        (Self { replica, instances, ways, _stop: stop.drop_guard() }, receiver)
    }

    /// How many signals wait to be published.
    pub fn queued(&self) -> usize {
        self.ways.iter().map(|way| way.publisher.queued()).sum()
    }

    fn way(&self, user: UserId) -> &Way {
        &self.ways[place(user.get().cast_unsigned(), self.ways.len())]
    }
}

#[async_trait]
impl Bus for RedisBus {
    fn publish(&self, user: UserId, signal: Signal) {
        self.way(user).publisher.publish(Some(user), Message::Signal(signal));
    }

    fn publish_wide(&self, event: WideEvent) {
        // By any rule: all replicas hear all instances.
        if let Some((user, _)) = event.places.first() {
            self.way(*user).publisher.publish(None, Message::Wide(event));
        }
    }

    async fn subscribe(&self, user: UserId) -> Result<(), BusError> {
        self.way(user).subscriber.subscribe(user).await
    }

    fn unsubscribe(&self, user: UserId) {
        self.way(user).subscriber.unsubscribe(user);
    }

    fn health(&self) -> Result<(), String> {
        self.ways.iter().try_for_each(|Way { publisher, subscriber }| {
            subscriber.link.health().and_then(|()| publisher.link().health())
        })
    }

    fn replica(&self) -> Option<ReplicaId> {
        Some(self.replica)
    }

    async fn out_of_reach(&self, others: &[ReplicaId]) -> Result<Vec<ReplicaId>, BusError> {
        let asked = self.ways.iter().map(|way| way.publisher.are_alive(others));
        let alive = futures_util::future::try_join_all(asked).await?;
        let is_everywhere = |place: usize| alive.iter().all(|alive| alive[place]);
        let places = others.iter().enumerate().filter(|(place, _)| !is_everywhere(*place));
        Ok(places.map(|(_, replica)| *replica).collect())
    }

    fn renew(&self) {
        self.instances.renew_all();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_names_its_user() {
        let user = UserId::new(7).unwrap();
        let channels = Channels::new("a:b", Origin(1));
        assert_eq!(channels.user(user), "a:b:user:7");
        assert_eq!(channels.user_of("a:b:user:7"), Some(user));
        for other in ["a:b:user:", "a:b:user:0", "a:b:user:x", "a:user:7", "a:b:replicas"] {
            assert_eq!(channels.user_of(other), None);
        }
    }
}
