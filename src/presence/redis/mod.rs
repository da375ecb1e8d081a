//! Presence that replicas share, in Redis sets made crash-safe by leases.
//!
//! Each replica keeps its own sockets in memory ([`Holdings`]) and brings Redis to that
//! ([`Keeper`]): by a change at a time as long as all goes well, and by joining everything again, in
//! a new generation, after anything else: a lease that was lost, an answer that did not come, a
//! Redis that has started anew or was emptied. What a dead replica held is removed by any other. All
//! decisions are made by scripts, on the clock of the Redis instance.

mod holdings;
mod keeper;
mod link;
mod listener;
mod partition;
mod reading;
mod scripts;
mod writer;

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::{
    mpsc::{self, error::TrySendError},
    oneshot,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use url::Url;

use super::{
    Connection, HEARD_WITHIN, OFFLINE_GRACE, OnlineUser, Presence, PresenceError, TRANSITION_QUEUE,
    Transition,
};
use crate::{
    domain::{ConnectionId, UserId},
    instances::{ConnectError, Instances},
};
use link::Link;
use listener::{Heard, Listener};
use writer::{CHANGES, Change, Writer};

pub use holdings::Holdings;
pub use keeper::{Keeper, Swept};
pub use partition::Partition;
pub use scripts::Scripts;

/// How long a replica that leaves takes to say so.
const CLOSE_WAIT: Duration = Duration::from_secs(3);

/// How fast replicas notice. Where nothing else is said, the same on all of them.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// How often a replica renews its leases, and looks whether Redis still has them.
    pub heartbeat: Duration,
    /// How long a replica that says nothing is believed to live: three heartbeats.
    pub lease: Duration,
    /// How long after the last socket went a user is announced offline.
    pub grace: Duration,
    /// How long Redis may take to accept a connection, or to answer. Each replica's own.
    pub answer: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(5),
            lease: Duration::from_secs(15),
            grace: OFFLINE_GRACE,
            answer: Duration::from_millis(500),
        }
    }
}

impl Times {
    /// The longest that a caller waits: for a connection, and for an answer, but for less than those
    /// who open a socket wait for all. What is not written by then is not forgotten.
    fn caller(&self) -> Duration {
        self.answer.mul_f64(1.8)
    }

    /// How often it is looked whether graces and leases are over: how late that may be noticed.
    fn sweep(&self) -> Duration {
        (self.grace.min(self.heartbeat) / 5).max(Duration::from_millis(1))
    }

    /// How much is left of the lease of a replica that was heard of within [`HEARD_WITHIN`], or within
    /// what that is to a heartbeat of another length.
    fn left_if_heard(&self) -> Duration {
        let pause = HEARD_WITHIN.div_duration_f64(Self::default().heartbeat);
        self.lease.saturating_sub(self.heartbeat.mul_f64(pause))
    }
}

/// The register that replicas share. One for a replica.
///
/// Dropped without [`RedisPresence::close`], it stops as a process does that is killed: its sockets
/// are removed by others once its lease has ended.
pub struct RedisPresence {
    namespace: String,
    times: Times,
    scripts: Arc<Scripts>,
    holdings: Arc<Holdings>,
    instances: Vec<Instance>,
    /// Cancelled, it has the writers leave.
    closing: CancellationToken,
    writers: TaskTracker,
    /// Cancelled, it stops everything at once.
    _stop: tokio_util::sync::DropGuard,
}

struct Instance {
    link: Link,
    changes: mpsc::Sender<Change>,
}

impl RedisPresence {
    /// A register on these independent instances, over which the partitions are spread, and where it
    /// announces. All keys and channels begin with `namespace`. Redis may be away: what is joined
    /// meanwhile is written once it is back.
    pub async fn connect(
        urls: &[Url],
        namespace: &str,
        shared: &Instances,
    ) -> Result<(Self, mpsc::Receiver<Transition>), ConnectError> {
        Self::connect_with(urls, namespace, shared, Times::default(), Scripts::default()).await
    }

    /// The same with other times and scripts.
    pub async fn connect_with(
        urls: &[Url],
        namespace: &str,
        shared: &Instances,
        times: Times,
        scripts: Scripts,
    ) -> Result<(Self, mpsc::Receiver<Transition>), ConnectError> {
        if urls.is_empty() {
            return Err(ConnectError::NoUrl);
        }
        let links = shared.of(urls).into_iter().map(|(instance, url)| {
            let number = instance.number;
            Link::new(url, instance, times.answer)
                .map_err(|problem| ConnectError::Url { number, problem })
        });
        let links: Vec<Link> = links.collect::<Result<_, _>>()?;
        let (scripts, holdings) = (Arc::new(scripts), Arc::new(Holdings::default()));
        let (heard, closing) = (Arc::new(Heard::default()), CancellationToken::new());
        let (stop, writers) = (CancellationToken::new(), TaskTracker::new());
        let (mut instances, mut listening) = (Vec::new(), Vec::new());
        for (place, link) in links.into_iter().enumerate() {
            let kept: Vec<_> =
                Partition::all().filter(|p| p.instance(urls.len()) == place).collect();
            let keeper = Keeper::new(
                Arc::clone(&scripts),
                namespace,
                times,
                Arc::clone(&holdings),
                kept.iter().copied(),
            );
            let listener = Listener::new(
                link.clone(),
                namespace,
                keeper.replica(),
                kept,
                Arc::clone(&heard),
                times.heartbeat,
            );
            listening.push(listener.is_listening());
            tokio::spawn(stop.clone().run_until_cancelled_owned(listener.run()));
            let (changes, queue) = mpsc::channel(CHANGES);
            let writer = Writer::new(link.clone(), keeper, times);
            let writing = writer.run(queue, closing.clone());
            writers.spawn(stop.clone().run_until_cancelled_owned(writing));
            instances.push(Instance { link, changes });
        }
        writers.close();
        let (observer, transitions) = mpsc::channel(TRANSITION_QUEUE);
        tokio::spawn(stop.clone().run_until_cancelled_owned(heard.forward(observer)));
        // With Redis there, whoever joins now hears of it.
        let all_listen = async {
            for mut listening in listening {
                let _ = listening.wait_for(|is_listening| *is_listening).await;
            }
        };
        if tokio::time::timeout(times.caller(), all_listen).await.is_err() {
            tracing::warn!("presence begins without Redis, and is written once it is there");
        }
        let namespace = namespace.to_owned();
        let stop = stop.drop_guard();
        let presence =
            Self { namespace, times, scripts, holdings, instances, closing, writers, _stop: stop };
        Ok((presence, transitions))
    }

    /// Leaves with all sockets and deletes the lease, so that nobody waits for it to end. Takes at
    /// most 3 s; then the lease ends by itself.
    pub async fn close(&self) {
        self.closing.cancel();
        if tokio::time::timeout(CLOSE_WAIT, self.writers.wait()).await.is_err() {
            tracing::warn!("presence not left in time, the lease ends by itself");
        }
    }

    fn instance(&self, partition: Partition) -> &Instance {
        &self.instances[partition.instance(self.instances.len())]
    }

    /// Has what is held of a socket written, and waits for that.
    async fn write(&self, user: UserId, connection: ConnectionId) -> Result<(), PresenceError> {
        let (written, done) = oneshot::channel();
        let change = Change { user, connection, written };
        if let Err(error) = self.instance(Partition::of(user)).changes.try_send(change) {
            self.holdings.fall_behind(user);
            return Err(unavailable(match error {
                TrySendError::Full(_) => "too much waits to be written",
                TrySendError::Closed(_) => "it is closed",
            }));
        }
        match tokio::time::timeout(self.times.caller(), done).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(unavailable("not written, the next beat does it")),
            Err(_) => Err(unavailable("not written yet")),
        }
    }
}

#[async_trait]
impl Presence for RedisPresence {
    async fn join(&self, user: UserId, connection: ConnectionId) -> Result<(), PresenceError> {
        self.holdings.join(user, connection);
        self.write(user, connection).await
    }

    async fn close(&self) {
        RedisPresence::close(self).await;
    }

    async fn leave(&self, user: UserId, connection: ConnectionId) -> Result<(), PresenceError> {
        self.holdings.leave(user, connection);
        self.write(user, connection).await
    }

    async fn online(&self, users: &[UserId]) -> Result<Vec<UserId>, PresenceError> {
        self.read(self.read_online(users)).await
    }

    async fn connections(
        &self,
        users: &[UserId],
    ) -> Result<HashMap<UserId, Vec<Connection>>, PresenceError> {
        self.read(self.read_connections(users)).await
    }

    async fn list(
        &self,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<OnlineUser>, PresenceError> {
        self.read(self.read_page(after, limit)).await
    }
}

fn unavailable(why: &str) -> PresenceError {
    PresenceError::Unavailable(why.to_owned())
}
