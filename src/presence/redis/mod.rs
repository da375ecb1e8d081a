//! Presence that replicas share, in Redis sets: those of a replica count while its lease stands.
//!
//! Each replica keeps its own sockets in memory ([`Held`]) and brings Redis to that
//! ([`LeaseManager`]): by a change at a time as long as all goes well, and by writing everything anew,
//! under another incarnation, after anything else: a lease that was lost, an answer that did not come, a
//! Redis that has started anew or was emptied. Any replica removes the sets of one whose lease has ended.
//! A script changes the sets and announces who came or went by it at once, on the clock of its Redis.

mod lease;
mod listener;
mod reading;
mod script;
mod writer;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    Connection, HEARD_WITHIN, OFFLINE_GRACE, OnlineUser, Presence, PresenceError, TRANSITION_QUEUE,
    Transition, outbox::Outbox,
};
use crate::{
    domain::{ConnectionId, UserId},
    redis::{self, Instances, Link, Part, place},
};
use listener::Listener;
use writer::{Progress, Writer};

pub use lease::{Held, LeaseManager};
pub use script::{SOURCE, Script};

/// How long a replica that leaves takes to say so.
const CLOSE_WAIT: Duration = Duration::from_secs(3);

/// How fast replicas notice. The same on all of them, unless something else is said.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// How often a replica renews its lease, and looks whether Redis still has it.
    pub heartbeat: Duration,
    /// How long a lease stands: three heartbeats.
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

    /// How much is left of a lease that was renewed within [`HEARD_WITHIN`], or within what that is to a
    /// heartbeat of another length.
    fn left_if_heard(&self) -> Duration {
        let pause = HEARD_WITHIN.div_duration_f64(Self::default().heartbeat);
        self.lease.saturating_sub(self.heartbeat.mul_f64(pause))
    }
}

/// The register that replicas share. One for a replica.
///
/// Dropped without [`Presence::close`], it stops as a process does that is killed: others remove its
/// sockets once its lease has ended.
pub struct RedisPresence {
    script: Arc<Script>,
    times: Times,
    instances: Vec<Instance>,
    /// Cancelled, it has the writers leave.
    closing: CancellationToken,
    _tasks: JoinSet<()>,
}

/// One instance, and the users whom it keeps.
struct Instance {
    redis: Arc<redis::Instance>,
    held: Arc<Mutex<Held>>,
    has_changes: Arc<Notify>,
    /// Closed once the writer has ended.
    progress: watch::Receiver<Progress>,
}

impl RedisPresence {
    /// A register on these independent instances, over which the users are spread, and where it
    /// announces. All keys and channels begin with `namespace`. Redis may be away: what is joined
    /// meanwhile is written once it is back.
    pub async fn connect(
        instances: &Instances,
        namespace: &str,
    ) -> (Self, mpsc::Receiver<Transition>) {
        let script = Script::new(SOURCE, namespace);
        Self::connect_with(instances, Times::default(), script).await
    }

    /// The same with other times and another script.
    pub async fn connect_with(
        shared: &Instances,
        times: Times,
        script: Script,
    ) -> (Self, mpsc::Receiver<Transition>) {
        let (script, closing) = (Arc::new(script), CancellationToken::new());
        let (observer, transitions) = mpsc::channel(TRANSITION_QUEUE);
        let outbox = Arc::new(Outbox::default());
        let (mut instances, mut all_ready, mut tasks) = (Vec::new(), Vec::new(), JoinSet::new());
        for instance in shared.iter() {
            let held = Arc::new(Mutex::new(Held::new(times.grace)));
            let manager = LeaseManager::new(Arc::clone(&script), times, Arc::clone(&held));
            let (ready, is_ready) = oneshot::channel();
            all_ready.push(is_ready);
            let listener = Listener {
                link: Link::new(instance, Part::PresenceListener),
                answer: times.answer,
                script: Arc::clone(&script),
                replica: manager.replica().to_owned(),
                outbox: Arc::clone(&outbox),
                probe: times.heartbeat,
                newest: None,
                ready: Some(ready),
            };
            tasks.spawn(listener.run());
            let (progress_of_writer, progress) = watch::channel(Progress::default());
            let writer = Writer {
                renewal: instance.renewal(),
                link: Link::new(instance, Part::Presence),
                answer: times.answer,
                script: Arc::clone(&script),
                manager,
                held: Arc::clone(&held),
                progress: progress_of_writer,
                connection: None,
            };
            let has_changes = Arc::new(Notify::new());
            tasks.spawn(writer.run(Arc::clone(&has_changes), closing.clone()));
            instances.push(Instance { redis: Arc::clone(instance), held, has_changes, progress });
        }
        tasks.spawn(async move { outbox.forward(observer).await });
        // With Redis there, this replica hears of whoever joins from here on.
        if timeout(times.caller(), join_all(all_ready)).await.is_err() {
            tracing::warn!("presence begins without Redis, and is written once it is there");
        }
        (Self { script, times, instances, closing, _tasks: tasks }, transitions)
    }

    /// Which instance keeps a user.
    fn place(&self, user: UserId) -> usize {
        place(user.get().unsigned_abs(), self.instances.len())
    }

    /// Changes what is open of a user, and waits until Redis has it; `None`: nothing has changed.
    async fn change(
        &self,
        user: UserId,
        change: impl FnOnce(&mut Held) -> Option<u64> + Send,
    ) -> Result<(), PresenceError> {
        let instance = &self.instances[self.place(user)];
        let Some(number) = change(&mut instance.held.lock()) else { return Ok(()) };
        instance.has_changes.notify_one();
        let mut progress = instance.progress.clone();
        let tried = progress.wait_for(|progress| progress.tried >= number);
        match timeout(self.times.caller(), tried).await {
            Ok(Ok(progress)) if progress.is_written => Ok(()),
            Ok(Ok(_)) => Err(unavailable("not written, the next renewal does it")),
            Ok(Err(_)) => Err(unavailable("it is closed")),
            Err(_) => Err(unavailable("not written yet")),
        }
    }
}

#[async_trait]
impl Presence for RedisPresence {
    async fn join(&self, user: UserId, connection: ConnectionId) -> Result<(), PresenceError> {
        self.change(user, |held| Some(held.join(user, connection))).await
    }

    async fn leave(&self, user: UserId, connection: ConnectionId) -> Result<(), PresenceError> {
        self.change(user, |held| Some(held.leave(user, connection))).await
    }

    async fn set_background(
        &self,
        user: UserId,
        connection: ConnectionId,
        is_background: bool,
    ) -> Result<(), PresenceError> {
        self.change(user, |held| held.set_background(user, connection, is_background)).await
    }

    async fn online(&self, users: &[UserId]) -> Result<Vec<UserId>, PresenceError> {
        let found = self.find(users).await?;
        let online: HashSet<_> = found.into_iter().map(|(user, ..)| user).collect();
        Ok(users.iter().copied().filter(|user| online.contains(user)).collect())
    }

    async fn connections(
        &self,
        users: &[UserId],
    ) -> Result<HashMap<UserId, Vec<Connection>>, PresenceError> {
        let mut connections: HashMap<UserId, Vec<_>> = HashMap::new();
        for (user, ids, lease) in self.find(users).await? {
            let is_sure = lease >= self.times.left_if_heard();
            for (id, is_background) in ids {
                let connection = Connection { id, is_sure, is_background };
                connections.entry(user).or_default().push(connection);
            }
        }
        for connections in connections.values_mut() {
            connections.sort_unstable_by_key(|connection| connection.id);
        }
        Ok(connections)
    }

    /// Takes at most 3 s. Then the lease ends by itself.
    async fn close(&self) {
        self.closing.cancel();
        let writers = self.instances.iter().map(async |instance| {
            let mut progress = instance.progress.clone();
            while progress.changed().await.is_ok() {}
        });
        if timeout(CLOSE_WAIT, join_all(writers)).await.is_err() {
            tracing::warn!("presence not left in time, the lease ends by itself");
        }
    }

    async fn list(
        &self,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<OnlineUser>, PresenceError> {
        self.read_page(after, limit).await
    }
}

fn unavailable(why: impl Into<String>) -> PresenceError {
    PresenceError::Unavailable(why.into())
}
