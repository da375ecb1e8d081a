//! What this replica knows of its own sockets, whatever happens to Redis.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::partition::Partition;
use crate::domain::{ConnectionId, UserId};

/// How many departed users are remembered in a partition. Who leaves beyond that while Redis is away
/// is not announced offline; nobody stays online for it.
const MAX_DEPARTED: usize = 4_096;

/// The sockets that are open here, by partition: the truth that Redis is brought to.
#[derive(Debug)]
pub struct Holdings(Vec<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    sockets: HashMap<UserId, HashSet<ConnectionId>>,
    /// Who had the last socket here closed, and when: noted again if Redis forgets it.
    departed: HashMap<UserId, Instant>,
    /// Whether a change was not handed to Redis.
    is_behind: bool,
}

impl Default for Holdings {
    fn default() -> Self {
        Self(Partition::all().map(|_| Mutex::default()).collect())
    }
}

impl Holdings {
    /// Notes that a socket has opened.
    pub fn join(&self, user: UserId, connection: ConnectionId) {
        let mut held = self.held(Partition::of(user)).lock();
        held.departed.remove(&user);
        if held.sockets.entry(user).or_default().insert(connection) {
            metrics::gauge!("imserver_presence_sockets").increment(1);
        }
    }

    /// Notes that a socket has closed.
    pub fn leave(&self, user: UserId, connection: ConnectionId) {
        let mut held = self.held(Partition::of(user)).lock();
        let Entry::Occupied(mut sockets) = held.sockets.entry(user) else { return };
        if sockets.get_mut().remove(&connection) {
            metrics::gauge!("imserver_presence_sockets").decrement(1);
        }
        if sockets.get().is_empty() {
            sockets.remove();
            if held.departed.len() < MAX_DEPARTED {
                held.departed.insert(user, Instant::now());
            } else {
                metrics::counter!("imserver_presence_departures_forgotten_total").increment(1);
            }
        }
    }

    /// Notes that a change of this user was not handed to Redis.
    pub(super) fn fall_behind(&self, user: UserId) {
        self.held(Partition::of(user)).lock().is_behind = true;
    }

    /// Whether changes were not handed to Redis. What is read after this has them.
    pub(super) fn take_behind(&self, partition: Partition) -> bool {
        std::mem::take(&mut self.held(partition).lock().is_behind)
    }

    /// Whether a socket is open.
    pub(super) fn has(&self, user: UserId, connection: ConnectionId) -> bool {
        let held = self.held(Partition::of(user)).lock();
        held.sockets.get(&user).is_some_and(|sockets| sockets.contains(&connection))
    }

    /// The open sockets of a partition.
    pub fn sockets(&self, partition: Partition) -> Vec<(UserId, ConnectionId)> {
        let held = self.held(partition).lock();
        held.sockets
            .iter()
            .flat_map(|(user, sockets)| sockets.iter().map(|connection| (*user, *connection)))
            .collect()
    }

    /// Who has left, and how long ago.
    pub(super) fn departed(&self, partition: Partition) -> Vec<(UserId, Duration)> {
        let held = self.held(partition).lock();
        held.departed.iter().map(|(user, since)| (*user, since.elapsed())).collect()
    }

    /// Forgets those who left longer ago: Redis has announced them by now.
    pub(super) fn forget_departed(&self, partition: Partition, age: Duration) {
        self.held(partition).lock().departed.retain(|_, since| since.elapsed() <= age);
    }

    fn held(&self, partition: Partition) -> &Mutex<Held> {
        &self.0[partition.index()]
    }
}

impl Drop for Holdings {
    fn drop(&mut self) {
        let open: usize = Partition::all().map(|partition| self.sockets(partition).len()).sum();
        #[expect(clippy::cast_precision_loss, reason = "nobody has 2^53 sockets")]
        metrics::gauge!("imserver_presence_sockets").decrement(open as f64);
    }
}
