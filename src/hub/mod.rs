//! The sockets of this replica, by user. No I/O: whatever is put here waits in a [`Mailbox`] for the
//! task that owns the socket.

mod mailbox;
mod watchers;

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use parking_lot::Mutex;

use crate::domain::{ConnectionId, DeviceId, SessionId, UserId};

pub use mailbox::{Batch, Full, Mailbox, Outbound, QUEUE_BYTES, QUEUE_FRAMES};
pub use watchers::Watchers;

/// How many sockets a user may have; the oldest goes when one more comes.
pub const MAX_SOCKETS: usize = 5;

/// Locks over the users: enough that two users seldom share one.
const SHARDS: usize = 64;

/// An open socket, as the rest of the replica knows it.
#[derive(Debug)]
pub struct Socket {
    /// Ids rise over all replicas in the order of opening.
    pub id: ConnectionId,
    /// The user whose timeline it follows.
    pub user: UserId,
    /// The session that opened it; `None` for an anonymous socket.
    pub session: Option<SessionId>,
    /// The device that its `hello` named.
    pub device: Option<DeviceId>,
    /// What waits to be written to it.
    pub mailbox: Mailbox,
}

/// What this replica has of one user.
#[derive(Debug, Default)]
pub struct Local<T> {
    /// The open sockets by ascending id, so the oldest is first.
    pub sockets: Vec<Arc<Socket>>,
    /// What the layer above keeps beside them.
    pub state: T,
}

impl<T> Local<T> {
    /// The socket with this id.
    pub fn socket(&self, id: ConnectionId) -> Option<&Arc<Socket>> {
        self.sockets.iter().find(|socket| socket.id == id)
    }

    /// The newest socket of a device, without those that are closing.
    pub fn newest_of(&self, device: &DeviceId) -> Option<ConnectionId> {
        let staying = self.sockets.iter().rev().filter(|socket| !socket.mailbox.is_closing());
        let mut of_device = staying.filter(|socket| socket.device.as_ref() == Some(device));
        of_device.next().map(|socket| socket.id)
    }
}

type Shard<T> = Mutex<HashMap<UserId, Local<T>>>;

/// The sockets of this replica. A user has an entry while the user has a socket here. What is done with
/// an entry runs under a lock and must not block.
#[derive(Debug)]
pub struct Hub<T> {
    shards: Box<[Shard<T>]>,
}

impl<T: Default> Default for Hub<T> {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Shard::default()).collect() }
    }
}

impl<T: Default> Hub<T> {
    fn shard(&self, user: UserId) -> &Shard<T> {
        let index = user.get().unsigned_abs() % SHARDS as u64;
        &self.shards[usize::try_from(index).unwrap_or(0)]
    }

    /// Adds a socket, and runs `then` on the user's entry.
    pub fn add<R>(&self, socket: Arc<Socket>, then: impl FnOnce(&mut Local<T>) -> R) -> R {
        let mut shard = self.shard(socket.user).lock();
        let local = shard.entry(socket.user).or_default();
        let place = local.sockets.partition_point(|other| other.id < socket.id);
        local.sockets.insert(place, socket);
        then(local)
    }

    /// Removes a socket, and runs `then` on what is left, with whether that was the user's last one.
    pub fn remove<R>(
        &self,
        user: UserId,
        id: ConnectionId,
        then: impl FnOnce(&mut Local<T>, bool) -> R,
    ) -> Option<R> {
        let mut shard = self.shard(user).lock();
        let Entry::Occupied(mut entry) = shard.entry(user) else { return None };
        entry.get_mut().sockets.retain(|socket| socket.id != id);
        let last = entry.get().sockets.is_empty();
        let result = then(entry.get_mut(), last);
        if last {
            entry.remove();
        }
        Some(result)
    }

    /// Runs `f` on the user's entry. `None` if the user has no socket here.
    pub fn with<R>(&self, user: UserId, f: impl FnOnce(&mut Local<T>) -> R) -> Option<R> {
        self.shard(user).lock().get_mut(&user).map(f)
    }

    /// Runs `f` on every user's entry, a shard at a time.
    pub fn for_each(&self, mut f: impl FnMut(UserId, &mut Local<T>)) {
        for shard in &self.shards {
            for (user, local) in shard.lock().iter_mut() {
                f(*user, local);
            }
        }
    }
}
