//! Replicas under load while something fails: whatever was sent is shown once, in order, to whom it
//! concerns, and whatever was acknowledged is stored.
//!
//! A test starts a [`Cluster`] on a database and a Redis of its own, puts a [`Load`] on it, hurts
//! something, waits until all [flows](Load::flows) again, and has the load [settle](Load::settle): the
//! [ledger](phone::ledger) then says what was lost, doubled, reordered, passed over, foreign or not
//! stored. Others, on two replicas without a load, show what needs a harder fault than that.

mod clocks;
mod commits;
mod full_disk;
mod future;
mod groups;
mod large;
mod load;
mod migrating;
mod people;
mod postgres_faults;
mod quiet;
mod reading;
mod redis_faults;
mod replica_faults;
mod restoring;
mod standby;
mod times;
mod upgrading;

use tokio::sync::{Semaphore, SemaphorePermit};

pub use load::Load;
pub use people::Size;

use crate::harness::{Server, Start};

/// The comparison with the database, in seconds: what a loss on the bus costs at most. A test cannot
/// wait for the default of 20.
pub const RECONCILE_SECS: u64 = 5;

/// How many clusters of this process are under load at once. More would only measure each other.
static TURNS: Semaphore = Semaphore::const_new(2);

/// Three replicas.
///
/// Its tests need `#[tokio::test(flavor = "multi_thread")]`: a replica's start blocks.
pub struct Cluster {
    /// Each may be killed, frozen and started again; clients know their addresses, which stay.
    pub replicas: Vec<Server>,
    _turn: SemaphorePermit<'static>,
}

impl Cluster {
    /// Replicas on this Postgres and this Redis, once it is this test's turn.
    pub async fn start(database: &str, bus: &str) -> Self {
        Self::of([0, 1, 2].map(|_| replica(database, bus))).await
    }

    /// As [`Cluster::start`], of replicas that differ, such as in the proxy before what they use:
    /// each is a [`replica`] with more settings.
    pub async fn of(starts: impl IntoIterator<Item = Start>) -> Self {
        let turn = TURNS.acquire().await.unwrap();
        let starts: Vec<_> = starts.into_iter().collect();
        let replicas = tokio::task::block_in_place(|| starts.into_iter().map(Start::run).collect());
        Self { replicas, _turn: turn }
    }

    /// Starts a replica again after it was killed, while the load goes on.
    pub fn start_again(&mut self, replica: usize) {
        tokio::task::block_in_place(|| self.replicas[replica].start_again());
    }
}

/// How a replica of a cluster is started.
pub fn replica(database: &str, bus: &str) -> Start {
    Start::default()
        .set("database.url", database)
        .set("bus.url", bus)
        .set("delivery.reconcile_secs", RECONCILE_SECS)
        .set("auth.demo_login", true)
        .set("limits.enabled", false)
        // A line for each chat would be most of the work.
        .set("log.filter", "info")
}
