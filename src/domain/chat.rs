//! Chats and the conversations that they make.

use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use super::{ChatId, ClientMsgId, ConversationId, User, UserId, UserName};
use crate::clock::Timestamp;

/// What a chat is. One kind today; a client ignores those that it does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChatKind {
    /// Plain text.
    #[default]
    Text,
}

impl ChatKind {
    /// The word of the wire and of the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
        }
    }
}

/// A committed chat, as every answer and frame shows it. Names are those at the time of reading.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Chat {
    /// Rises strictly within the conversation.
    pub id: ChatId,
    /// The sender.
    pub user_id: UserId,
    /// The receiver.
    pub target_user_id: UserId,
    /// What the sender is called now.
    pub user_name: UserName,
    /// What the receiver is called now.
    pub target_user_name: UserName,
    /// What it says.
    #[schema(value_type = String)]
    pub content: Arc<str>,
    /// When it was committed.
    #[schema(value_type = String, format = DateTime, example = "2026-11-22T09:40:59.123Z")]
    pub create_time: Timestamp,
    /// The sender's key.
    pub client_msg_id: ClientMsgId,
    /// Where it belongs.
    pub conversation_id: ConversationId,
    /// What it is.
    pub kind: ChatKind,
}

/// Bodies of chats never reach a log.
impl std::fmt::Debug for Chat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chat")
            .field("id", &self.id)
            .field("user_id", &self.user_id)
            .field("target_user_id", &self.target_user_id)
            .finish_non_exhaustive()
    }
}

/// What a conversation is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConversationKind {
    /// Between two people, or one and oneself.
    #[default]
    Direct,
}

impl ConversationKind {
    /// The word of the wire and of the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
        }
    }
}

/// The other side of a conversation, and when that user was last seen going offline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The other user; oneself in a conversation with oneself.
    pub user: User,
    /// When the last socket of that user went, if one ever did.
    pub last_seen_at: Option<Timestamp>,
}

/// A conversation, as one of its members sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// Which one.
    pub id: ConversationId,
    /// What it is.
    pub kind: ConversationKind,
    /// The other side.
    pub peer: Peer,
    /// The newest chat.
    pub last_chat: Chat,
    /// Chats of the other side past one's read mark, counted to 99; 100 means more.
    pub unread: u32,
    /// The last chat that one has read; `None` before the first.
    pub read_up_to: Option<ChatId>,
    /// The last chat that the other side has read; `None` before the first.
    pub peer_read_up_to: Option<ChatId>,
    /// Whether both sides have written in it.
    pub both_wrote: bool,
}
