//! Feeds the sockets here with events of large conversations, outside the task that commits.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Delivery, reconcile};
use crate::bus::WideEvent;

/// How many events wait. One more is dropped, and the database is compared with instead.
const QUEUE: usize = 1_024;

/// How many timelines are fed before other tasks have their turn.
const SLICE: usize = 64;

/// The events that wait.
#[derive(Default)]
pub(super) struct Queue {
    events: Mutex<VecDeque<WideEvent>>,
    is_due: Notify,
    /// Whether events were dropped.
    has_lost: AtomicBool,
}

impl Queue {
    /// Queues an event, or notes that one was lost. Returns at once.
    pub(super) fn push(&self, event: WideEvent) {
        let mut events = self.events.lock();
        if events.len() < QUEUE {
            events.push_back(event);
        } else {
            self.has_lost.store(true, Ordering::Relaxed);
            metrics::counter!("imserver_fan_out_dropped_total").increment(1);
        }
        self.is_due.notify_one();
    }

    async fn next(&self) -> WideEvent {
        loop {
            let event = self.events.lock().pop_front();
            if let Some(event) = event {
                return event;
            }
            self.is_due.notified().await;
        }
    }
}

/// Feeds what [`Delivery::committed`] has left to it, for ever.
pub async fn fan_out(delivery: Arc<Delivery>) {
    loop {
        let event = delivery.wide.next().await;
        for (number, (user, frame)) in event.frames().enumerate() {
            delivery.hint(user, &frame);
            if number % SLICE == SLICE - 1 {
                tokio::task::yield_now().await;
            }
        }
        if delivery.wide.has_lost.swap(false, Ordering::Relaxed) {
            reconcile::compare_all(&delivery).await;
        }
    }
}
