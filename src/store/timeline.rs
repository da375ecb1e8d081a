//! Timelines as they are read: what is kept, and what happened.

use crate::{
    domain::{Chat, Epoch, Payload, Seq, UserId},
    protocol::event::{EventBody, EventFrame},
};

/// What is kept of a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The first event that is kept; one more than `last` if none is.
    pub first: Seq,
    /// The last event; 0 before the first one.
    pub last: Seq,
}

impl Bounds {
    /// The bounds of a timeline without events.
    pub const EMPTY: Self = Self { first: Seq::ZERO.next(), last: Seq::ZERO };
}

/// Where a timeline stands, and in which history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The database's history.
    pub epoch: Epoch,
    /// What is kept of the timeline.
    pub bounds: Bounds,
}

/// One event of a user's timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineEvent {
    /// Its number.
    pub seq: Seq,
    /// What happened.
    pub change: Change,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Somebody sent a chat.
    Chat(Box<Chat>),
    /// A kind that a newer version wrote. It passes through; clients advance past it.
    Other {
        /// Its word.
        kind: String,
        /// The chat that it is about, as it is now.
        chat: Option<Box<Chat>>,
        /// What else it says.
        payload: Option<Payload>,
    },
}

impl TimelineEvent {
    /// The event's frame in the timeline of `user`.
    pub fn into_frame(self, user: UserId) -> EventFrame {
        let (own, body) = match &self.change {
            Change::Chat(chat) => {
                let own = (chat.user_id == user).then(|| chat.client_msg_id.clone());
                (own, EventBody::chat(chat))
            }
            Change::Other { kind, chat, payload } => {
                (None, EventBody::other(kind, chat.as_deref(), payload.as_ref()))
            }
        };
        EventFrame { seq: self.seq, own, body }
    }
}

/// A stretch of a timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPage {
    /// What is kept, read in the same transaction as the events.
    pub bounds: Bounds,
    /// The events after the asked place, without holes, in order.
    pub events: Vec<TimelineEvent>,
}
