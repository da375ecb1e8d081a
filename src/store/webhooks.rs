//! The contract about deliveries of webhooks that did not succeed at once.

use async_trait::async_trait;
use sqlx::FromRow;

use super::{OutboxEntry, StoreError};
use crate::{clock::Timestamp, domain::OutboxId};

/// An entry that is parked for an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Delivery {
    /// What is to be delivered.
    #[sqlx(flatten)]
    pub entry: OutboxEntry,
    /// Whose order it keeps.
    pub lane: String,
    /// Whether it is not tried any more.
    pub is_dead: bool,
    /// How often it was tried.
    pub attempts: i64,
    /// When it is tried next, once it is the first of its lane.
    pub next_at: Timestamp,
    /// What came of the last attempt, in words of the service.
    pub failure: Option<String>,
    /// Since when it is parked.
    pub parked_at: Timestamp,
}

/// What waits in a lane of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedLane {
    /// The lane.
    pub lane: String,
    /// Deliveries that are still tried; at least one.
    pub waiting: u64,
    /// Since when the first of them is parked.
    pub since: Timestamp,
}

/// What is parked for an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parked {
    /// Deliveries that are still tried.
    pub due: u64,
    /// Deliveries that are not.
    pub dead: u64,
}

/// Deliveries of webhooks. An endpoint is the name that it has in the settings. In a lane, entries are in the
/// order of their ids; the first one that is not dead is its head.
#[async_trait]
pub trait Webhooks {
    /// The lanes of an endpoint that have a head.
    async fn parked_lanes(&self, endpoint: &str) -> Result<Vec<ParkedLane>, StoreError>;

    /// Parks deliveries; leaves those alone that are parked already.
    async fn park(&self, endpoint: &str, deliveries: &[Delivery]) -> Result<(), StoreError>;

    /// Heads whose time has come at `now`, those that have waited longest first.
    async fn due_deliveries(
        &self,
        endpoint: &str,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError>;

    /// Forgets a delivery that has succeeded.
    async fn delivered(&self, endpoint: &str, id: OutboxId) -> Result<(), StoreError>;

    /// Notes an attempt that has failed: `failure`, how many there were, when the next one is, and whether
    /// there is none.
    async fn not_delivered(&self, endpoint: &str, delivery: &Delivery) -> Result<(), StoreError>;

    /// Has what was parked since then, and is not dead, tried at `now` and not later.
    async fn hasten_deliveries(
        &self,
        endpoint: &str,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// How many deliveries are parked for an endpoint.
    async fn parked(&self, endpoint: &str) -> Result<Parked, StoreError>;

    /// At most `limit` parked deliveries of an endpoint after this one, by id.
    async fn deliveries(
        &self,
        endpoint: &str,
        after: Option<OutboxId>,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError>;

    /// Has entries delivered once more, at once and as if for the first time: those of these ids that are
    /// parked, and those of `kept`, which have their lanes, that are not. Returns how many.
    async fn repeat_deliveries(
        &self,
        endpoint: &str,
        ids: &[OutboxId],
        kept: &[(String, OutboxEntry)],
        now: Timestamp,
    ) -> Result<u64, StoreError>;

    /// Has dead deliveries of what happened since then tried again.
    async fn revive_deliveries(
        &self,
        endpoint: &str,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<u64, StoreError>;

    /// Switches an endpoint off as long as its URL has this digest.
    async fn switch_endpoint_off(
        &self,
        endpoint: &str,
        url_digest: &str,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Switches an endpoint on.
    async fn switch_endpoint_on(&self, endpoint: &str) -> Result<(), StoreError>;

    /// Since when an endpoint whose URL has this digest is off; `None` if it is on.
    async fn endpoint_off_since(
        &self,
        endpoint: &str,
        url_digest: &str,
    ) -> Result<Option<Timestamp>, StoreError>;

    /// Drops what was parked before `before`, whatever the endpoint. Returns how many.
    async fn drop_deliveries(&self, before: Timestamp) -> Result<u64, StoreError>;
}
