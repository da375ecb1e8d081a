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
}

/// Conversations as their members see them.
#[async_trait]
pub trait Conversations {
    /// The user's conversations whose last chat is before `before`, newest first.
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

    /// Chats of a conversation; `None` if there is none with this id of which `user` is a member.
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
