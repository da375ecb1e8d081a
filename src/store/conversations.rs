//! The contract about conversations as their members see them, and the chats in them.

use async_trait::async_trait;

use super::StoreError;
use crate::domain::{Chat, ChatId, Conversation, ConversationId, UserId};

/// Chats of a conversation, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatPage {
    /// The chats.
    pub chats: Vec<Chat>,
    /// Whether there are more beyond the page, in the direction of reading.
    pub has_more: bool,
}

/// Conversations, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationPage {
    /// The conversations.
    pub conversations: Vec<Conversation>,
    /// Whether there are older ones.
    pub has_more: bool,
}

/// Chats that are new or changed, in the order of that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangePage {
    /// The chats as they are now.
    pub chats: Vec<Chat>,
    /// Where to go on: a version of the conversation, 0 before the first chat.
    pub version: i64,
    /// Whether more follow.
    pub has_more: bool,
}

/// Which chats of a conversation are wanted. Bounds are exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// The newest ones.
    Newest,
    /// The newest ones before this.
    Before(ChatId),
    /// The oldest ones after this.
    After(ChatId),
    /// The oldest ones.
    Oldest,
}

/// A read mark after a call of [`Conversations::mark_read`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadMark {
    /// The last chat that is read; `None` while the conversation has no chat.
    pub up_to: Option<ChatId>,
    /// Whether the call moved it.
    pub moved: bool,
    /// The other side of a direct conversation.
    pub peer: Option<UserId>,
    /// Whether the member had marked the conversation as unread. It still is.
    pub marked_unread: bool,
}

/// Conversations as their members see them.
#[async_trait]
pub trait Conversations {
    /// The user's conversations whose position is before `before`, newest first; without those that are
    /// pinned or hidden.
    async fn conversations(
        &self,
        user: UserId,
        before: Option<ChatId>,
        limit: u32,
    ) -> Result<ConversationPage, StoreError>;

    /// The user's conversation with `peer`.
    async fn conversation_with(
        &self,
        user: UserId,
        peer: UserId,
    ) -> Result<Option<Conversation>, StoreError>;

    /// The conversations that the user has pinned and not hidden, newest first.
    async fn pinned(&self, user: UserId, limit: u32) -> Result<Vec<Conversation>, StoreError>;

    /// Unread chats of all of the user's conversations that are neither muted nor hidden, counted to 99; 100
    /// means more.
    async fn unread_total(&self, user: UserId) -> Result<u32, StoreError>;

    /// A conversation of which the user is or was a member.
    async fn conversation(
        &self,
        user: UserId,
        id: ConversationId,
    ) -> Result<Option<Conversation>, StoreError>;

    /// At most `limit` chats that are new or changed since this version of the conversation, but those that
    /// the user may not read. `None` if `user` neither is nor was a member.
    async fn changes(
        &self,
        user: UserId,
        conversation: ConversationId,
        since: i64,
        limit: u32,
    ) -> Result<Option<ChangePage>, StoreError>;

    /// Chats of a conversation that the user may read: a member those since joining, a former member those up
    /// to leaving, nobody those that are gone for oneself. `None` if `user` neither is nor was a member.
    async fn chats(
        &self,
        user: UserId,
        conversation: ConversationId,
        window: Window,
        limit: u32,
    ) -> Result<Option<ChatPage>, StoreError>;

    /// Moves the user's read mark to `up_to`, never backwards and never past the last chat. `None`
    /// if there is no conversation with this id of which `user` is a member.
    async fn mark_read(
        &self,
        user: UserId,
        conversation: ConversationId,
        up_to: ChatId,
    ) -> Result<Option<ReadMark>, StoreError>;
}
