//! The nouns of the service, parsed once at the edge: what exists here is valid.

mod characters;
pub mod chat;
pub mod ids;
pub mod text;
pub mod user;

pub use chat::{Chat, ChatKind, Conversation, ConversationKind, Peer};
pub use ids::{
    ChatId, ConnectionId, ConversationId, Epoch, MAX_ID, OutOfRange, OutboxId, ReplicaId, Seq,
    SessionId, UserId,
};
pub use text::{ClientMsgId, Content, DeviceId, TextError, UserName};
pub use user::{AvatarHash, User};
