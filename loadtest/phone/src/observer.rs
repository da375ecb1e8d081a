//! Who is told what happens at phones, as it happens: to count, to time, to note.

use std::time::Duration;

use crate::{clock::Moment, ledger::Key};

/// A chat of this run that passes a phone.
#[derive(Clone, Copy, Debug)]
pub struct Passage {
    pub phone: u32,
    pub key: Key,
    /// When it was due to be written.
    pub due: Moment,
    pub at: Moment,
    /// Whether the phone was there since then, as far as it was up to the phone.
    pub is_timed: bool,
    /// Whether the phone's own user wrote it.
    pub is_own: bool,
}

impl Passage {
    /// How long after it was due this is.
    pub fn late(&self) -> Duration {
        self.at.since(self.due)
    }
}

/// How a socket became ready.
#[derive(Clone, Copy, Debug)]
pub enum Ready {
    /// So long after the first byte; the phone had no socket before.
    Connected(Duration),
    /// So long after the last socket was lost.
    Resumed(Duration),
}

/// What happens at phones. It is called from their tasks, so it must not block.
pub trait Observer: Send + Sync {
    /// A chat is in the outbox.
    fn written(&self, _chat: &Passage, _sender: i64, _target: i64) {}

    /// A chat leaves. `is_repeat`: it did so before, on this socket or on an earlier one.
    fn sent(&self, _chat: &Passage, _is_repeat: bool) {}

    /// A chat is known to be committed, for the first time. `was_under_way`: it was sent on this socket.
    fn acknowledged(&self, _chat: &Passage, _was_under_way: bool) {}

    /// A chat is shown that moves the phone on.
    fn shown(&self, _chat: &Passage) {}

    /// The picture of a chat that was shown is read.
    fn looked(&self, _chat: &Passage) {}

    /// So many chats that were under way will be sent again.
    fn rewound(&self, _count: u64) {}

    /// The server answered with an error.
    fn refused(&self, _code: &str) {}

    fn ready(&self, _how: Ready) {}

    /// A socket that was ready is gone.
    fn lost(&self) {}

    fn failed_to_connect(&self) {}
}
