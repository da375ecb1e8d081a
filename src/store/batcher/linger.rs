//! How long a batch waits for more chats: only under load, where that saves the database transactions.

use std::time::Duration;

use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

/// How long a batch lingers at most, where [`Batcher::start`](super::Batcher::start) is asked for it. See
/// docs/adr/0019-linger-under-load.md.
pub const LINGER: Duration = Duration::from_millis(10);
/// How long a batch lingers for each chat that it has or the last one had.
const LINGER_EACH: Duration = Duration::from_millis(1);
/// A batch of this size means load; load ends when batches fall below twice this size.
const LOAD: usize = 6;
/// With so many chats a batch waits for no more: they share the cost of the transaction.
const ENOUGH: usize = 100;

/// How long the batches of a steady stream linger.
const STEADY_LINGER: Duration = Duration::from_millis(2);
/// The chats a second that are a steady stream: every other batch of it finds company within
/// [`STEADY_LINGER`].
const STEADY_RATE: f64 = 250.0;
/// Over how many seconds the rate is taken: an average whose weights fall by e in this time. Sixty chats that one
/// client brings at once are no stream.
const WINDOW: f64 = 0.25;

/// How many chats come lately, and how long a batch of them waits for more.
pub(super) struct Pace {
    /// What came, each chat weighing less the longer ago it was.
    recent: f64,
    at: Instant,
    /// How many were in the last batch.
    last: usize,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { recent: 0.0, at: Instant::now(), last: 0 }
    }

    /// Notes a batch that goes.
    #[expect(clippy::cast_precision_loss, reason = "a batch is short")]
    pub(super) fn went(&mut self, chats: usize) {
        let now = Instant::now();
        let passed = now.duration_since(self.at).as_secs_f64();
        self.recent = self.recent * (-passed / WINDOW).exp() + chats as f64;
        (self.at, self.last) = (now, chats);
    }

    /// How long a batch that begins with so many chats waits for more.
    pub(super) fn linger(&self, begins: usize) -> Duration {
        if begins.max(self.last / 2) >= LOAD {
            return LINGER_EACH * u32::try_from(begins.max(self.last)).unwrap_or(u32::MAX);
        }
        let faded = (-self.at.elapsed().as_secs_f64() / WINDOW).exp();
        if self.recent * faded >= STEADY_RATE * WINDOW { STEADY_LINGER } else { Duration::ZERO }
    }
}

/// Adds what comes, to `most` at most, until the deadline or until there is enough, whichever is first.
pub(super) async fn collect<T>(
    queue: &mut mpsc::Receiver<T>,
    batch: &mut Vec<T>,
    most: usize,
    deadline: Instant,
) {
    while batch.len() < ENOUGH {
        let room = most - batch.len();
        // 0: nothing more will come.
        let Ok(1..) = timeout_at(deadline, queue.recv_many(batch, room)).await else { return };
    }
}
