//! Webhooks: tells endpoints of a company what happens, by the rules of Standard Webhooks.
//!
//! Each endpoint has a reader of the outbox. Lanes, which are conversations for the most part, do not wait for
//! each other. What cannot be delivered is parked with whatever follows in its lane, and tried again from
//! there, so one lane that fails holds up no other.

mod deliver;
mod retry;
mod sender;

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use self::{deliver::Deliver, sender::Sender};
use super::{
    Pace, Reader,
    events::{Events, lane},
    reader_job,
};
use crate::{
    clock::{Clock, Timestamp},
    config::Endpoint,
    http_client::OutboundClient,
    jobs::{self, Job},
    store::{Delivery, OutboxCursor, Parked, Store, StoreError},
};

pub use super::events::EventId;

/// How long a parked delivery is kept, dead or not.
pub const PARKED_KEPT: Duration = Duration::from_hours(30 * 24);

/// How often the progress of a reader may change under whoever sets it back.
const SET_BACK_ATTEMPTS: u32 = 10;

/// Times and bounds of deliveries.
#[derive(Clone, Debug)]
pub struct Timing {
    /// How long an attempt may take.
    pub attempt: Duration,
    /// For how long the entries of a page are tried, one after the other in each lane. The rest is parked.
    pub begin: Duration,
    /// The waits between attempts. One attempt more than that, and the delivery is dead.
    pub waits: Vec<Duration>,
    /// A delivery that has been parked for longer is dead with its next failure: it may have waited behind
    /// others.
    pub give_up: Duration,
    /// Polling interval for what is due.
    pub interval: Duration,
    /// An endpoint that has taken nothing for so long, though it was asked, was away.
    pub outage: Duration,
    /// The most attempts at once, fresh ones and repeats each.
    pub at_once: usize,
    /// Beyond so many deliveries that wait nothing more is read for an endpoint that takes nothing.
    pub max_parked: u64,
    /// Beyond so many that wait in a lane, those of an endpoint that takes others are given up.
    pub max_in_lane: u64,
    /// Beyond so many lanes that wait nothing more is read for an endpoint.
    pub max_lanes: usize,
    /// How the outbox is read. Handling is longer than `begin` and `attempt` together.
    pub pace: Pace,
}

impl Default for Timing {
    fn default() -> Self {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        let waits =
            [20, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 20 * HOUR];
        let waits = waits.into_iter().chain([34 * HOUR]).map(Duration::from_secs).collect();
        Self {
            attempt: Duration::from_secs(15),
            begin: Duration::from_secs(8),
            waits,
            give_up: Duration::from_hours(72),
            interval: Duration::from_secs(1),
            outage: Duration::from_secs(30),
            at_once: 16,
            max_parked: 10_000,
            max_in_lane: 1_000,
            max_lanes: 10_000,
            pace: Pace {
                lease: jobs::LEASE,
                interval: Duration::from_secs(1),
                handling: Duration::from_secs(26),
                page: 200,
            },
        }
    }
}

impl Timing {
    /// The wait after so many attempts; `None`: there is no further one.
    fn wait_after(&self, attempts: i64) -> Option<Duration> {
        let waited = usize::try_from(attempts.checked_sub(1)?).ok()?;
        self.waits.get(waited).copied()
    }
}

/// How an endpoint does.
#[derive(Clone, Debug)]
pub struct EndpointState {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Since when it is off because it said that it is gone.
    pub off_since: Option<Timestamp>,
    /// What is parked for it.
    pub parked: Parked,
}

/// Why nothing is listed or repeated.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// There is no endpoint of this name.
    #[error("there is no such endpoint")]
    NoEndpoint,
    /// Its reader is too busy to be set back.
    #[error("the endpoint is too busy")]
    Busy,
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// All endpoints.
pub struct Webhooks {
    store: Arc<dyn Store>,
    clock: Clock,
    endpoints: Vec<Endpoint>,
}

fn reader_name(endpoint: &str) -> String {
    format!("webhook.{endpoint}")
}

impl Webhooks {
    /// These endpoints.
    pub fn new(store: Arc<dyn Store>, clock: Clock, endpoints: Vec<Endpoint>) -> Self {
        Self { store, clock, endpoints }
    }

    /// What tells the endpoints, for ever: for each a reader and what repeats. One replica at a time does
    /// each of these.
    pub fn work(
        &self,
        client: &OutboundClient,
        events: &Events,
        timing: &Timing,
    ) -> Vec<BoxFuture<'static, ()>> {
        let mut work: Vec<BoxFuture<'static, ()>> = Vec::new();
        for endpoint in &self.endpoints {
            let sender = Arc::new(Sender {
                store: Arc::clone(&self.store),
                clock: self.clock.clone(),
                client: client.clone(),
                events: events.clone(),
                url_digest: endpoint.url_digest(),
                endpoint: endpoint.clone(),
                timing: timing.clone(),
                course: Mutex::default(),
            });
            let job = format!("webhooks.retry.{}", endpoint.name);
            let job = Job::new(Arc::clone(&self.store), job, timing.pace.lease);
            let reader = Reader::new(
                Arc::clone(&self.store),
                Arc::new(Deliver(Arc::clone(&sender))),
                self.clock.clone(),
                &reader_name(&endpoint.name),
                timing.pace,
            );
            work.push(Box::pin(reader.run()));
            work.push(Box::pin(retry::keep_retrying(sender, job)));
        }
        work
    }

    /// How all endpoints do.
    pub async fn states(&self) -> Result<Vec<EndpointState>, StoreError> {
        let mut states = Vec::new();
        for endpoint in &self.endpoints {
            let digest = endpoint.url_digest();
            states.push(EndpointState {
                off_since: self.store.endpoint_off_since(&endpoint.name, &digest).await?,
                parked: self.store.parked(&endpoint.name).await?,
                endpoint: endpoint.clone(),
            });
        }
        Ok(states)
    }

    /// How old the oldest event is of which some endpoint has not been told once; `None` without endpoints.
    pub async fn lag(&self) -> Result<Option<Duration>, StoreError> {
        let mut lags = Vec::new();
        for endpoint in &self.endpoints {
            let job = reader_job(&reader_name(&endpoint.name));
            // A reader that has not begun, or whose place is none, begins with the oldest.
            let place = self.store.job_progress(&job).await?.and_then(|place| place.parse().ok());
            let next = self.store.read_outbox(place.as_ref(), 1).await?;
            let oldest = next.entries.first().map(|entry| entry.created_at);
            lags.push(oldest.map_or(Duration::ZERO, |oldest| oldest.until(self.clock.now())));
        }
        Ok(lags.into_iter().max())
    }

    /// At most `limit` parked deliveries of an endpoint after this one.
    pub async fn deliveries(
        &self,
        endpoint: &str,
        after: Option<EventId>,
        limit: u32,
    ) -> Result<Vec<Delivery>, WebhookError> {
        self.check(endpoint)?;
        let after = after.map(|after| after.id);
        Ok(self.store.deliveries(endpoint, after, limit).await?)
    }

    /// Has these events delivered once more, as far as they are kept, and the endpoint switched on. Returns
    /// how many there are.
    pub async fn repeat(&self, endpoint: &str, events: &[EventId]) -> Result<u64, WebhookError> {
        self.check(endpoint)?;
        let ids: Vec<_> = events.iter().map(|event| event.id).collect();
        let kept = self.store.outbox_entries(&ids).await?.into_iter();
        let kept = kept.filter(|entry| events.contains(&EventId::of(entry)));
        let kept: Vec<_> = kept.map(|entry| (lane(&entry), entry)).collect();
        let repeated =
            self.store.repeat_deliveries(endpoint, &ids, &kept, self.clock.now()).await?;
        self.store.switch_endpoint_on(endpoint).await?;
        Ok(repeated)
    }

    /// Has all that happened since then delivered once more, as far as it is kept, and the endpoint switched
    /// on.
    pub async fn repeat_since(&self, endpoint: &str, since: Timestamp) -> Result<(), WebhookError> {
        self.check(endpoint)?;
        // First, so that what is read again waits behind what is dead in its lane.
        self.store.revive_deliveries(endpoint, since, self.clock.now()).await?;
        if let Some(first) = self.store.outbox_since(since).await? {
            self.set_back(endpoint, &first).await?;
        }
        Ok(self.store.switch_endpoint_on(endpoint).await?)
    }

    /// Has the reader go on from a place. Where it has not come that far it goes on from where it is, and
    /// begins the page anew that it is about.
    async fn set_back(&self, endpoint: &str, first: &OutboxCursor) -> Result<(), WebhookError> {
        let job = reader_job(&reader_name(endpoint));
        for _ in 0..SET_BACK_ATTEMPTS {
            let Some(was) = self.store.job_progress(&job).await? else { return Ok(()) };
            let is_beyond = was.parse().is_ok_and(|place| first.is_behind(&place));
            let place = if is_beyond { first.to_string() } else { was.clone() };
            if self.store.move_job(&job, &was, &place).await? {
                return Ok(());
            }
        }
        Err(WebhookError::Busy)
    }

    /// Refuses an endpoint that there is not.
    pub fn check(&self, endpoint: &str) -> Result<(), WebhookError> {
        let is_known = self.endpoints.iter().any(|known| known.name == endpoint);
        if is_known { Ok(()) } else { Err(WebhookError::NoEndpoint) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_attempts_take_three_days_and_the_second_comes_soon() {
        let timing = Timing::default();
        let waits: Vec<_> = (1..).map_while(|attempts| timing.wait_after(attempts)).collect();
        assert_eq!(waits.len(), 9);
        assert!(waits[0] < Duration::from_secs(30) && waits.is_sorted());
        let all: Duration = waits.iter().sum();
        assert!(all > Duration::from_hours(71) && all <= timing.give_up, "{all:?}");
        assert_eq!(timing.wait_after(0), None);
        let Pace { handling, lease, .. } = timing.pace;
        assert!(timing.begin + timing.attempt < handling && handling < lease);
    }
}
