//! The contract about work that one replica at a time does.

use std::time::Duration;

use async_trait::async_trait;

use super::StoreError;
use crate::domain::ReplicaId;

/// Leases of work. Time is that of the database.
#[async_trait]
pub trait Jobs {
    /// Takes the work of this name for so long, or keeps it for so long from now, if no other replica has
    /// it. Returns the progress that was saved last; empty if none was. Of replicas that call at once, one
    /// gets it.
    async fn take_job(
        &self,
        name: &str,
        replica: ReplicaId,
        lease: Duration,
    ) -> Result<Option<String>, StoreError>;

    /// Saves how far the work has come, and keeps it for so long from now. `false`: another replica has
    /// taken it since, or nobody ever took it; nothing was saved.
    async fn save_job(
        &self,
        name: &str,
        replica: ReplicaId,
        progress: &str,
        lease: Duration,
    ) -> Result<bool, StoreError>;

    /// How far the work has come; `None` if nobody ever took it.
    async fn job_progress(&self, name: &str) -> Result<Option<String>, StoreError>;

    /// Has the work go on from `progress` instead of from where it was: takes it from whoever has it.
    /// `false`: the progress was not `was` any more, and nothing was done.
    async fn move_job(&self, name: &str, was: &str, progress: &str) -> Result<bool, StoreError>;
}
