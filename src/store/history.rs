//! The contract about the history that the numbers of a database belong to.

use async_trait::async_trait;

use super::StoreError;
use crate::domain::Epoch;

/// The database's history.
#[async_trait]
pub trait History {
    /// The name of this database's history.
    async fn epoch(&self) -> Result<Epoch, StoreError>;

    /// Begins a new history, whose name it returns: a step of every restore. Ids of sockets that are
    /// given out in it are above all of those before, also of those that the restore has forgotten.
    async fn rotate_epoch(&self) -> Result<Epoch, StoreError>;
}
