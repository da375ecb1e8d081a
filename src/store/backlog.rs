//! The contract about what waits for whoever keeps order.

use async_trait::async_trait;

use super::StoreError;

/// What waits for somebody to decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Chats that are held back.
    pub held: u32,
    /// Reports about which nothing was done.
    pub reports: u32,
}

/// How much waits.
#[async_trait]
pub trait Backlog {
    /// Counts what waits, each up to `most`.
    async fn waiting(&self, most: u32) -> Result<Waiting, StoreError>;
}
