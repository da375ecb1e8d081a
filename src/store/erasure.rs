//! The contract about erasing a user.

use async_trait::async_trait;

use super::StoreError;
use crate::domain::{ClientMsgId, UserId};

/// Erasing a user.
#[async_trait]
pub trait Erasure {
    /// Takes from a user all that says who it is, and the way back in: the name becomes
    /// [`UserName::erased`](crate::domain::UserName::erased); picture, identities and the time when last
    /// seen go, and so do blocks that the user set or that were set of the user, a restriction, chats that
    /// are held back, and the user's words in reports. The picture itself is deleted, unless somebody else has it. All sessions are revoked; of a
    /// user who may have many, [`Sessions::revoke_some_sessions`](super::Sessions::revoke_some_sessions)
    /// takes most first. From then on the user is found only as a side of conversations that are there; a
    /// chat to or from it is [`Appended::TargetNotFound`](super::Appended::TargetNotFound) or
    /// [`Appended::SenderNotFound`](super::Appended::SenderNotFound), and the id is never given again.
    /// Its own timeline ends: its range is [`TimelineRange::EMPTY`](super::TimelineRange::EMPTY). The timelines of
    /// others keep every event. Its words stay until [`Erasure::blank_chats`].
    ///
    /// `false` if there never was such a user. Safe to repeat.
    async fn erase_user(&self, user: UserId) -> Result<bool, StoreError>;

    /// Empties the contents of at most `limit` chats that the user sent, in the order of their keys,
    /// after the key `after`; media that only they have shown are unused from now on. Returns the last key of these; `None` if there were none. Safe to repeat.
    async fn blank_chats(
        &self,
        user: UserId,
        after: Option<&ClientMsgId>,
        limit: u32,
    ) -> Result<Option<ClientMsgId>, StoreError>;
}
