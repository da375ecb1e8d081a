//! Takes what a reader reads for an endpoint.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::Instant;

use super::{
    lane,
    sender::{Outcome, Sender},
};
use crate::{
    outbox::{Handler, HandlerError},
    store::{Delivery, OutboxEntry, StoreError},
};

/// Why entries stay in the outbox.
#[derive(Debug, thiserror::Error)]
enum NotNow {
    #[error("the endpoint said that it is gone; change its URL, or have something repeated")]
    Off,
    #[error("{0} deliveries wait already")]
    Full(u64),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Delivers each entry, or parks it.
pub(super) struct Deliver(pub(super) Arc<Sender>);

#[async_trait]
impl Handler for Deliver {
    async fn handle(&self, entries: &[OutboxEntry]) -> Result<(), HandlerError> {
        Ok(self.deliver(entries).await?)
    }
}

impl Deliver {
    async fn deliver(&self, entries: &[OutboxEntry]) -> Result<(), NotNow> {
        let Sender { store, timing, endpoint, .. } = &*self.0;
        let mut lanes: BTreeMap<String, Vec<OutboxEntry>> = BTreeMap::new();
        for entry in entries.iter().filter(|entry| endpoint.wants(&entry.kind)) {
            lanes.entry(lane(entry)).or_default().push(entry.clone());
        }
        if lanes.is_empty() {
            return Ok(());
        }
        if self.0.is_off().await? {
            return Err(NotNow::Off);
        }
        let waiting = store.parked(self.0.name()).await?.due;
        if waiting >= timing.max_parked {
            return Err(NotNow::Full(waiting));
        }
        // Only this reader and a person add lanes, so one that is not among them stays free.
        let parked: HashSet<_> = store.parked_lanes(self.0.name()).await?.into_iter().collect();
        let (behind, free): (Vec<_>, Vec<_>) =
            lanes.into_iter().partition(|(lane, _)| parked.contains(lane));
        let behind: Vec<_> =
            behind.into_iter().flat_map(|(lane, entries)| self.untried(&lane, entries)).collect();
        if !behind.is_empty() {
            store.park(self.0.name(), &behind).await?;
        }
        let end = Instant::now() + timing.begin;
        stream::iter(free)
            .map(|(lane, entries)| self.deliver_lane(lane, entries, end))
            .buffer_unordered(timing.at_once)
            .try_collect()
            .await
    }

    /// Delivers entries of a lane one after the other. Parks them from the first one on that fails, or that
    /// is not begun in time.
    async fn deliver_lane(
        &self,
        lane: String,
        entries: Vec<OutboxEntry>,
        end: Instant,
    ) -> Result<(), NotNow> {
        let mut left = entries.into_iter();
        while let Some(entry) = left.next() {
            let failure = if Instant::now() < end {
                match self.0.send(&entry).await? {
                    Outcome::Delivered => continue,
                    Outcome::Gone => return Err(NotNow::Off),
                    Outcome::Failed(why) => Some(why),
                }
            } else {
                None
            };
            let mut parked = self.untried(&lane, std::iter::once(entry).chain(left));
            if let Some(why) = failure {
                self.0.note_failure(&mut parked[0], why);
            }
            return Ok(self.0.store.park(self.0.name(), &parked).await?);
        }
        Ok(())
    }

    /// Deliveries that are due at once.
    fn untried(&self, lane: &str, entries: impl IntoIterator<Item = OutboxEntry>) -> Vec<Delivery> {
        let now = self.0.clock.now();
        let delivery = |entry| Delivery {
            entry,
            lane: lane.to_owned(),
            is_dead: false,
            attempts: 0,
            next_at: now,
            failure: None,
            parked_at: now,
        };
        entries.into_iter().map(delivery).collect()
    }
}
