//! What waits for one replica to hear: a bounded queue that notes where it has lost something.

use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::{INCOMING_QUEUE, Incoming, Receiver};

/// The writing end.
#[derive(Debug)]
pub(super) struct Inbox {
    tail: Mutex<Tail>,
}

#[derive(Debug)]
struct Tail {
    sender: mpsc::Sender<Incoming>,
    /// Whether the last that was queued is a gap. While it is, and the queue is full, that gap is
    /// still unread and stands for whatever else is lost.
    ends_with_gap: bool,
}

impl Inbox {
    pub(super) fn new() -> (Self, Receiver) {
        // One place more than signals may take: the gap's.
        let (sender, receiver) = mpsc::channel(INCOMING_QUEUE + 1);
        (Self { tail: Mutex::new(Tail { sender, ends_with_gap: false }) }, receiver)
    }

    /// Queues what was published, or a gap where there is no place for it; `false` if it is lost.
    pub(super) fn hear(&self, incoming: impl FnOnce() -> Incoming) -> bool {
        let mut tail = self.tail.lock();
        let full = tail.is_full();
        if full {
            tail.gap();
        } else {
            tail.push(incoming());
        }
        !full
    }

    /// Queues a gap.
    pub(super) fn gap(&self) {
        self.tail.lock().gap();
    }
}

impl Tail {
    /// The last free place is the gap's, so that a loss is noted where it happened: after what came
    /// before it, and before whatever comes later.
    fn is_full(&self) -> bool {
        self.sender.capacity() < 2
    }

    fn gap(&mut self) {
        if !(self.is_full() && self.ends_with_gap) {
            self.push(Incoming::Gap);
        }
    }

    fn push(&mut self, incoming: Incoming) {
        self.ends_with_gap = incoming == Incoming::Gap;
        // Only this lock's holder sends, so there is a place; what fails is a receiver that is gone.
        let _ = self.sender.try_send(incoming);
    }
}
