//! Takes what a reader reads for an endpoint.

use std::{
    collections::{BTreeMap, HashMap},
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
    store::{Delivery, OutboxEntry, ParkedLane, StoreError},
};

/// What is noted of deliveries that are given up untried.
const LANE_FULL: &str = "too many of its lane wait";

/// Why entries stay in the outbox.
#[derive(Debug, thiserror::Error)]
enum NotNow {
    #[error("the endpoint said that it is gone; change its URL, or have something repeated")]
    Off,
    #[error("{0} deliveries wait already, and the endpoint takes none")]
    Full(u64),
    #[error("{0} lanes wait already")]
    FullOfLanes(usize),
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
        // Only this reader and a person add lanes, so one that is not among them stays free.
        let parked = store.parked_lanes(self.0.name()).await?;
        if parked.len() >= timing.max_lanes {
            return Err(NotNow::FullOfLanes(parked.len()));
        }
        let parked: HashMap<_, _> = parked.into_iter().map(|it| (it.lane.clone(), it)).collect();
        let (behind, free): (Vec<_>, Vec<_>) =
            lanes.into_iter().partition(|(lane, _)| parked.contains_key(lane));
        let end = Instant::now() + timing.begin;
        stream::iter(free)
            .map(|(lane, entries)| self.deliver_lane(lane, entries, end))
            .buffer_unordered(timing.at_once)
            .try_collect::<()>()
            .await?;
        // Last, since what was free may have shown that the endpoint takes something.
        if behind.is_empty() { Ok(()) } else { self.park_behind(behind, &parked).await }
    }

    /// Parks entries whose lanes are parked. As long as the endpoint takes something, the fault is the lane's:
    /// what is beyond its bound is given up, and holds up no other lane. Otherwise it waits, up to a bound for
    /// all lanes together.
    async fn park_behind(
        &self,
        behind: Vec<(String, Vec<OutboxEntry>)>,
        parked: &HashMap<String, ParkedLane>,
    ) -> Result<(), NotNow> {
        let Sender { store, timing, .. } = &*self.0;
        let answers = parked.values().map(|lane| lane.since).max();
        let answers = answers.is_none_or(|newest| self.0.has_delivered_since(newest));
        let waiting: u64 = parked.values().map(|lane| lane.waiting).sum();
        if !answers && waiting >= timing.max_parked {
            return Err(NotNow::Full(waiting));
        }
        let (mut deliveries, mut given_up) = (Vec::new(), 0_u32);
        for (lane, entries) in behind {
            let mut waiting = parked.get(&lane).map_or(0, |lane| lane.waiting);
            let mut untried = self.untried(&lane, entries);
            for delivery in &mut untried {
                waiting += 1;
                if answers && waiting > timing.max_in_lane {
                    (delivery.is_dead, delivery.failure) = (true, Some(LANE_FULL.to_owned()));
                    self.0.count("dead");
                    given_up += 1;
                }
            }
            deliveries.append(&mut untried);
        }
        if given_up > 0 {
            tracing::warn!(endpoint = self.0.name(), given_up, "too many webhooks of a lane wait");
        }
        Ok(store.park(self.0.name(), &deliveries).await?)
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
