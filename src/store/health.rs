//! The contract about the health of the database, and of the replicas that use it.

use std::collections::HashMap;

use async_trait::async_trait;

use super::StoreError;
use crate::{clock::Timestamp, domain::ReplicaId};

/// How lately a replica must have been noted to count as living, in milliseconds.
pub(super) const REPLICA_FRESH: i64 = 60_000;

/// After how long a replica that was not noted again is forgotten, in milliseconds.
pub(super) const REPLICA_FORGOTTEN: i64 = 600_000;

/// What the database says that it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads and writes.
    Writes,
    /// Reads only, such as a standby.
    Reads,
}

/// Health of the database, and of the replicas that use it.
#[async_trait]
pub trait Health {
    /// Whether the database answers, and is still the one that was opened.
    async fn ping(&self) -> Result<Access, StoreError>;

    /// Notes that a replica lives, and whether it can be heard on its bus. Returns the others of the last
    /// minute that could be, with the time at which each last said so: by one clock for all replicas, and
    /// later each time. Replicas are forgotten after some minutes.
    async fn note_replica(
        &self,
        replica: ReplicaId,
        is_heard: bool,
    ) -> Result<HashMap<ReplicaId, Timestamp>, StoreError>;
}
