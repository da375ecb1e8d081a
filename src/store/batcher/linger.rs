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

/// How long a batch that begins with so many chats waits for more, after one of `last`.
pub(super) fn linger(begins: usize, last: usize) -> Duration {
    if begins.max(last / 2) < LOAD {
        return Duration::ZERO;
    }
    LINGER_EACH * u32::try_from(begins.max(last)).unwrap_or(u32::MAX)
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
