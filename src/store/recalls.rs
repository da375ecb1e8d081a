//! The contract about chats that change after they were sent.

use std::time::Duration;

use async_trait::async_trait;

use super::{StoreError, Told};
use crate::domain::{Chat, ChatId, UserId};

/// What became of a recall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recalled {
    /// It is recalled; nothing is told if it was before.
    Done(Box<Chat>, Told),
    /// There is no such chat in a conversation of which the user is a member, or it is gone for the user.
    NotFound,
    /// It is another's, and the user keeps no order there; or it is a system line.
    Forbidden,
    /// Its time is over.
    TooLate,
}

/// Changes of chats after they were sent.
///
/// Locking: the conversation if it is not direct, the chat, then the counters of all whom it tells, in
/// ascending id. The id of the change is drawn after that, so that versions of a conversation rise in the order
/// in which its changes become visible.
#[async_trait]
pub trait Recalls {
    /// Takes back what a chat says, for everybody and for good: its words, its body, its quote and whom it calls
    /// by name. Its sender may do so for as long as `window` after it was committed; a group's owner and
    /// admins may at any time. What it said is kept for the audit, and a repeat of its key is still known. Those
    /// members are told who were members when it was sent, or a chat that quotes it.
    async fn recall(
        &self,
        actor: UserId,
        chat: ChatId,
        window: Duration,
    ) -> Result<Recalled, StoreError>;

    /// Has a chat gone for one user, for good. `None` if there is no such chat in a conversation of which the
    /// user is a member. Nothing is told if it was gone before.
    async fn delete_for(&self, user: UserId, chat: ChatId) -> Result<Option<Told>, StoreError>;
}
