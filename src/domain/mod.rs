//! The nouns of the service, parsed once at the edge: what exists here is valid.

pub mod api_key;
pub mod card;
mod characters;
pub mod chat;
pub mod external;
pub mod group;
pub mod identity;
pub mod ids;
pub mod media;
mod mentions;
pub mod moderation;
mod open_id;
pub mod payload;
mod subscription;
pub mod system_line;
mod template_field;
pub mod text;
pub mod user;

pub use api_key::{ApiKey, ApiKeyName, Scope, Scopes};
pub use chat::{
    Chat, ChatKind, ChatState, Conversation, ConversationChange, ConversationKey, ConversationKind,
    Destination, GroupFace, OwnConversation, OwnSettings, Peer, Quote, SeenConversation, Target,
};
pub use external::{ConversationRef, ExternalId, Profile, UserFacts, UserRef};
pub use group::{Group, GroupChange, GroupMember, GroupRefusal, GroupRules, GroupTitle, Role};
pub use identity::{Identity, Provider};
pub use ids::{
    ApiKeyId, AuditId, ChatId, ConnectionId, ConversationId, Epoch, HeldId, MAX_ID, OutOfRange,
    OutboxId, ReplicaId, ReportId, Seq, SessionId, UserId,
};
pub use media::{FileName, Media, MediaId, MediaKind, MediaShape};
pub use mentions::Mentions;
pub use moderation::{
    Block, OnFailure, OnReview, ReportReason, Restriction, RestrictionKind, WhoMayWrite,
};
pub use open_id::{OpenId, WechatUser};
pub use payload::Payload;
pub use subscription::{InvalidTemplateId, MessageTemplate, TemplateId};
pub use system_line::SystemLine;
pub use template_field::{FieldError, FieldFacts, FieldKind, FieldSource, TemplateField};
pub use text::{ClientMsgId, Content, DeviceId, TextError, UserName};
pub use user::{AvatarHash, AvatarUrl, User};
