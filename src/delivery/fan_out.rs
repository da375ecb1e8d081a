//! Feeds the sockets here with events of large conversations, outside the task that commits.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::{Mutex, mpsc};

use super::{Delivery, reconcile};
use crate::bus::WideEvent;

/// The most events that wait. More are dropped, and all local users are compared with the database.
const QUEUE: usize = 1_024;

/// Timelines that are fed before other tasks have their turn.
const SLICE: usize = 64;

/// The events that wait.
pub(super) struct Queue {
    sender: mpsc::Sender<WideEvent>,
    receiver: Mutex<mpsc::Receiver<WideEvent>>,
    /// Whether events were dropped.
    has_lost: AtomicBool,
}

impl Default for Queue {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        Self { sender, receiver: Mutex::new(receiver), has_lost: AtomicBool::new(false) }
    }
}

impl Queue {
    /// Queues an event, or notes that one was lost. Returns at once.
    pub(super) fn push(&self, event: WideEvent) {
        if self.sender.try_send(event).is_err() {
            self.has_lost.store(true, Ordering::Relaxed);
            metrics::counter!("imserver_fan_out_dropped_total").increment(1);
        }
    }
}

/// Delivers the events that [`Delivery::committed`] queues for it, for ever.
pub async fn fan_out(delivery: Arc<Delivery>) {
    let mut events = delivery.wide.receiver.lock().await;
    while let Some(event) = events.recv().await {
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
