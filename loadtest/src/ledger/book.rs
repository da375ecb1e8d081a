//! What one phone sent, was acknowledged and was shown.

use std::{fmt, str::FromStr};

/// Which chat: who wrote it, and which of theirs it is, from 0. It is the `clientMsgId`, so it must be
/// new to the database: `run` tells the runs apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Tells the runs apart that share a database.
    pub run: u32,
    /// The phone.
    pub writer: u32,
    pub number: u32,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{}-{}", self.run, self.writer, self.number)
    }
}

/// A text that is no key.
#[derive(Debug, thiserror::Error)]
#[error("not a key of a load")]
pub struct NoKey;

impl FromStr for Key {
    type Err = NoKey;

    fn from_str(text: &str) -> Result<Self, NoKey> {
        let mut parts = text.splitn(3, '-');
        let run = parts.next().and_then(|part| u32::from_str_radix(part, 16).ok());
        let mut number = || parts.next()?.parse().ok();
        match (run, number(), number()) {
            (Some(run), Some(writer), Some(number)) => Ok(Self { run, writer, number }),
            _ => Err(NoKey),
        }
    }
}

/// A chat as a phone was shown it, or as it was read back.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    pub key: Key,
    pub id: i64,
    pub sender: i64,
    pub target: i64,
    /// Whether the content is what belongs to the key.
    pub is_intact: bool,
}

/// What one phone sent, was acknowledged and was shown.
#[derive(Debug)]
pub struct Book {
    pub(super) user: i64,
}

impl Book {
    /// A phone of this user.
    pub fn new(user: i64, run: u32, writer: u32) -> Self {
        let _ = (run, writer);
        Self { user }
    }

    /// It is ready for the first time: its numbers come after `cursor`.
    pub fn begin(&mut self, cursor: i64) {
        let _ = cursor;
    }

    /// It was shown an event that is none of a load's chats.
    pub fn pass(&mut self, seq: i64) {
        let _ = seq;
    }

    /// The phone has a chat to send, and will send it until it is acknowledged.
    pub fn write(&mut self, target: i64) -> Key {
        let _ = target;
        Key { run: 0, writer: 0, number: 0 }
    }

    /// It sends a chat, for the first time or again. `connection` is new for each socket: what was sent
    /// once each on one socket is stored in the order of sending.
    pub fn send(&mut self, key: Key, connection: u32) {
        let _ = (key, connection);
    }

    /// It heard that a chat is committed. `seq` is the number in the sender's timeline, where there are
    /// such numbers.
    pub fn acknowledge(&mut self, seq: Option<i64>, seen: &Seen) {
        let _ = (seq, seen);
    }

    /// It was shown an event, as an `event` or as the `sent` that moves the cursor.
    pub fn show(&mut self, seq: Option<i64>, seen: &Seen) {
        let _ = (seq, seen);
    }

    /// It was told to load anew, took these events, and goes on from `last`.
    pub fn reload(&mut self, events: &[(i64, Seen)], last: i64) {
        let _ = (events, last);
    }
}
