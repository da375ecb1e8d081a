//! The contract about members of conversations that are not direct.

use async_trait::async_trait;

use super::StoreError;
use crate::domain::{ConversationId, UserId};

/// How conversations of any number of members begin, who joins and who leaves. Told in no timeline.
///
/// Locking: the conversation, as [`Appends::append`](super::Appends::append) does.
#[async_trait]
pub trait Members {
    /// Begins a conversation of these users, who exist, each of them once however often named.
    async fn create_group(&self, members: &[UserId]) -> Result<ConversationId, StoreError>;

    /// Makes these users, who exist, members of a conversation that is not direct, unless they are. They
    /// get the chats that are committed after. `false` if there is no such conversation.
    async fn add_members(
        &self,
        conversation: ConversationId,
        users: &[UserId],
    ) -> Result<bool, StoreError>;

    /// Takes a member from a conversation that is not direct: chats that are committed after do not reach
    /// that user, who cannot read or write there any more. `false` if there is no such member.
    async fn remove_member(
        &self,
        conversation: ConversationId,
        user: UserId,
    ) -> Result<bool, StoreError>;
}
