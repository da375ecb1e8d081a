//! The contract about timelines: what is kept of them, and what happened.

use std::collections::HashMap;

use async_trait::async_trait;
use sqlx::FromRow;

use super::{StoreError, TrimPage};
use crate::{
    clock::Timestamp,
    domain::{Chat, ChatId, ConversationChange, ConversationId, Payload, Seq, UserId},
};

/// What is kept of a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct TimelineRange {
    /// The first event that is kept; one more than `last` if none is.
    #[sqlx(rename = "first_seq")]
    pub first: Seq,
    /// The last event; 0 before the first one.
    #[sqlx(rename = "last_seq")]
    pub last: Seq,
}

impl TimelineRange {
    /// The range of a timeline without events.
    pub const EMPTY: Self = Self { first: Seq::ZERO.next(), last: Seq::ZERO };
}

/// One event of a user's timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineEvent {
    /// Its number.
    pub seq: Seq,
    /// What happened.
    pub change: Change,
}

/// The word of an event about a new chat.
pub const CHAT: &str = "chat";
/// The word of an event about a conversation.
pub const CONVERSATION: &str = "conversation";
/// The word of an event about a chat that has changed.
pub const CHANGED: &str = "changed";

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Somebody sent a chat.
    Chat(Box<Chat>),
    /// A chat changed: it is as it is now, the higher version wins.
    Changed(Box<Chat>),
    /// A chat is gone for the user of the timeline, for ever.
    Gone {
        /// Which one.
        chat: ChatId,
        /// Where it was.
        conversation: ConversationId,
    },
    /// A conversation began or changed, or is the user's no more.
    Conversation(Box<ConversationChange>),
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

/// A stretch of a timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPage {
    /// What is kept, read in the same transaction as the events.
    pub range: TimelineRange,
    /// The events after the asked place, without holes, in order.
    pub events: Vec<TimelineEvent>,
}

/// Timelines of users.
#[async_trait]
pub trait Timelines {
    /// What is kept of a user's timeline; [`TimelineRange::EMPTY`] if nothing ever happened to that user.
    async fn timeline_range(&self, user: UserId) -> Result<TimelineRange, StoreError>;

    /// The last numbers of these timelines; those of users to whom nothing happened are left out.
    async fn last_seqs(&self, users: &[UserId]) -> Result<HashMap<UserId, Seq>, StoreError>;

    /// At most `limit` events after `since`. [`StoreError::Corrupt`] if one within the range is
    /// missing. A `since` outside the range gives the range and no events.
    async fn events(&self, user: UserId, since: Seq, limit: u32) -> Result<EventPage, StoreError>;

    /// The latest chats of the user's direct conversations, oldest first: in the order of the user's
    /// timeline, however little is kept of that.
    async fn latest_chats(&self, user: UserId, limit: u32) -> Result<Vec<Chat>, StoreError>;

    /// Looks at no more than `limit` timelines, in the order of the ids of their users after `after`:
    /// which of their events are before `before`, or followed by `keep` others or more. For
    /// [`Timelines::trim_timeline`], so at most [`TRIM_STEP`](super::TRIM_STEP) of each, the oldest first. An event of kind
    /// `chat` without a time has that of its chat; any other without one is as old as those after it.
    async fn trims(
        &self,
        after: Option<UserId>,
        before: Timestamp,
        keep: u64,
        limit: u32,
    ) -> Result<TrimPage, StoreError>;

    /// Forgets the events of a timeline up to and including `up_to`, and never the last one's
    /// number. Chats stay in their conversations.
    async fn trim_timeline(&self, user: UserId, up_to: Seq) -> Result<(), StoreError>;
}
