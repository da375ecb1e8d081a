//! One attempt to deliver an entry.

use std::{error::Error, sync::Arc, time::Duration};

use parking_lot::Mutex;
use reqwest::{Response, StatusCode, header};
use serde::Serialize;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::{EventId, Timing};
use crate::{
    clock::{Clock, Timestamp},
    config::Endpoint,
    http_client::OutboundClient,
    outbox::events::{Event, Events},
    public_addresses::NotPublic,
    store::{Delivery, OutboxEntry, Store, StoreError},
};

/// The most of an answer that is read, so that the connection can be used again.
const MAX_ANSWER: usize = 64 * 1024;

/// How long the rest of an answer may take.
const ANSWER_WAIT: Duration = Duration::from_secs(1);

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The endpoint has it.
    Delivered,
    /// It has not, in words of the service.
    Failed(String),
    /// It says that it is gone for good.
    Gone,
}

/// What is sent.
#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    timestamp: Timestamp,
    data: &'a Value,
}

/// How attempts have gone since this replica started.
#[derive(Debug, Default)]
pub(super) struct Course {
    /// When the last one succeeded.
    delivered_at: Option<Timestamp>,
    /// When the first one after it failed.
    failing_since: Option<Timestamp>,
}

/// Sends to one endpoint.
pub(super) struct Sender {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Clock,
    pub(super) client: OutboundClient,
    pub(super) events: Events,
    pub(super) endpoint: Endpoint,
    pub(super) url_digest: String,
    pub(super) timing: Timing,
    pub(super) course: Mutex<Course>,
}

impl Sender {
    pub(super) fn name(&self) -> &str {
        &self.endpoint.name
    }

    pub(super) async fn is_off(&self) -> Result<bool, StoreError> {
        let since = self.store.endpoint_off_since(self.name(), &self.url_digest).await?;
        Ok(since.is_some())
    }

    /// Tries once. Switches an endpoint off that is gone.
    pub(super) async fn send(&self, entry: &OutboxEntry) -> Result<Outcome, StoreError> {
        let event = self.events.event(entry).await?;
        let outcome = self.post(&event, &EventId::of(entry)).await;
        let word = if outcome == Outcome::Delivered { "delivered" } else { "failed" };
        self.count(word);
        if outcome == Outcome::Delivered {
            self.note_success().await?;
        } else {
            self.course.lock().failing_since.get_or_insert(self.clock.now());
        }
        if outcome == Outcome::Gone {
            tracing::warn!(
                endpoint = self.name(),
                "the endpoint is gone (410) and is switched off"
            );
            let now = self.clock.now();
            self.store.switch_endpoint_off(self.name(), &self.url_digest, now).await?;
        }
        Ok(outcome)
    }

    async fn post(&self, event: &Event, id: &EventId) -> Outcome {
        let Event { kind, timestamp, data, .. } = event;
        let body = Body { kind, timestamp: *timestamp, data };
        let body = serde_json::to_string(&body).expect("an event is JSON");
        let seconds = self.clock.now().as_millis() / 1_000;
        let mut request = match self.client.post(&self.endpoint.url) {
            Ok(request) => request,
            Err(refused) => return Outcome::Failed(refused.to_string()),
        };
        let end = Instant::now() + self.timing.attempt;
        for (name, value) in self.endpoint.key.headers(&id.to_string(), seconds, &body) {
            request = request.header(name, value);
        }
        let request = request
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("imserver/", env!("CARGO_PKG_VERSION")))
            .body(body);
        let outcome = match timeout_at(end, request.send()).await {
            Ok(Ok(response)) => {
                let outcome = verdict(response.status());
                // What it says beside the status counts for nothing.
                let _ =
                    timeout_at(end.min(Instant::now() + ANSWER_WAIT), read_away(response)).await;
                outcome
            }
            Ok(Err(error)) => Outcome::Failed(describe(&error).to_owned()),
            Err(_) => Outcome::Failed("no answer in time".to_owned()),
        };
        tracing::debug!(endpoint = self.name(), kind, ?outcome, "webhook sent");
        outcome
    }

    /// Has what was parked since the success before tried at once, if the endpoint was away: all attempts have failed
    /// for a while. What was parked earlier has failed while others succeeded, and keeps its waits.
    async fn note_success(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let (since, failing_since) = {
            let mut course = self.course.lock();
            (course.delivered_at.replace(now), course.failing_since.take())
        };
        match failing_since {
            Some(failing) if failing.until(now) >= self.timing.outage => {
                // Another replica may know of a success before, this one does not.
                let since = since.unwrap_or(Timestamp::from_millis(0));
                self.store.hasten_deliveries(self.name(), since, now).await
            }
            _ => Ok(()),
        }
    }

    /// Whether this replica has delivered something later than that.
    pub(super) fn has_delivered_since(&self, time: Timestamp) -> bool {
        self.course.lock().delivered_at.is_some_and(|at| at > time)
    }

    /// Notes that an attempt has failed: when the next one is, or that there is none.
    pub(super) fn note_failure(&self, delivery: &mut Delivery, why: String) {
        let now = self.clock.now();
        delivery.attempts += 1;
        delivery.failure = Some(why);
        let is_over = delivery.parked_at.until(now) >= self.timing.give_up;
        match self.timing.wait_after(delivery.attempts).filter(|_| !is_over) {
            Some(wait) => delivery.next_at = now.after(wait),
            None => delivery.is_dead = true,
        }
        if delivery.is_dead {
            self.count("dead");
            tracing::warn!(
                endpoint = self.name(),
                event = %EventId::of(&delivery.entry),
                attempts = delivery.attempts,
                why = delivery.failure,
                "a webhook is given up"
            );
        }
    }

    pub(super) fn count(&self, outcome: &'static str) {
        let endpoint = self.name().to_owned();
        let counter = metrics::counter!(
            "imserver_webhook_deliveries_total", "endpoint" => endpoint, "outcome" => outcome
        );
        counter.increment(1);
    }
}

fn verdict(status: StatusCode) -> Outcome {
    match status {
        status if status.is_success() => Outcome::Delivered,
        StatusCode::GONE => Outcome::Gone,
        status => Outcome::Failed(format!("status {}", status.as_u16())),
    }
}

/// Reads an answer to its end, or so much of it that the connection is better closed.
async fn read_away(mut response: Response) {
    let mut left = MAX_ANSWER;
    while let Ok(Some(part)) = response.chunk().await {
        left = match left.checked_sub(part.len()) {
            Some(left) => left,
            None => return,
        };
    }
}

/// What went wrong, without a URL or an address.
fn describe(error: &reqwest::Error) -> &'static str {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<NotPublic>() {
            return "the host has no public address";
        }
        cause = error.source();
    }
    if error.is_connect() { "no connection" } else { "the connection broke" }
}
