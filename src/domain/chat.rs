//! Chats and the conversations that they make.

use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use super::{
    ChatId, ClientMsgId, ConversationId, ExternalId, GroupTitle, Mentions, Payload, Role, User,
    UserId, UserName,
};
use crate::clock::Timestamp;

/// A word of the wire and of the database of which this version knows some. One that a newer version
/// wrote passes through.
macro_rules! open_word {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
            /// A word that this version does not know.
            Other(Box<str>),
        }

        impl $name {
            /// The word.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)*
                    Self::Other(word) => word,
                }
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                match word.as_str() {
                    $($word => Self::$variant,)*
                    _ => Self::Other(word.into()),
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}

open_word! {
    /// What a chat is. A client shows one of a kind that it does not know by its content.
    ChatKind {
        /// Plain text.
        Text = "text",
        /// A picture.
        Image = "image",
        /// Something said.
        Voice = "voice",
        /// A file to be downloaded.
        File = "file",
        /// A title with a page or an address behind it.
        Card = "card",
        /// A line of the service: what happened to a group.
        System = "system",
    }
}

open_word! {
    /// What has become of a chat since it was committed.
    ChatState {
        /// Its sender, or who keeps order there, took it back: its words are gone.
        Recalled = "recalled",
    }
}

/// Where a sender wants a chat to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Destination {
    /// Into the direct conversation with this user, which the first chat begins.
    Direct(UserId),
    /// Into this conversation, of which the sender is a member.
    Conversation(ConversationId),
}

impl Destination {
    /// What finds the conversation that this sender writes into.
    pub fn key(self, sender: UserId) -> ConversationKey {
        match self {
            Self::Direct(target) => ConversationKey::pair(sender, target),
            Self::Conversation(id) => ConversationKey::Id(id),
        }
    }
}

/// What finds a conversation, whichever of its users asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConversationKey {
    /// The direct one of these two users.
    Pair {
        /// The lower id; both are one in a user's conversation with themselves.
        low: UserId,
        /// The higher id.
        high: UserId,
    },
    /// The one with this id.
    Id(ConversationId),
}

impl ConversationKey {
    /// What finds the direct conversation of two users.
    pub fn pair(one: UserId, other: UserId) -> Self {
        Self::Pair { low: one.min(other), high: one.max(other) }
    }
}

/// How much of a quoted chat's content a quote shows, in Unicode scalar values.
const QUOTE_CHARS: usize = 100;

/// A chat that another one quotes, as it is at the time of reading.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Quote {
    /// The quoted chat.
    pub id: ChatId,
    /// Its sender.
    pub user_id: UserId,
    /// What its sender is called now.
    pub user_name: UserName,
    /// What it is.
    #[schema(value_type = String, example = "text")]
    pub kind: ChatKind,
    /// The first 100 characters of its content; empty once it was recalled.
    #[schema(value_type = String)]
    pub content: Arc<str>,
    /// What has become of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "recalled")]
    pub state: Option<ChatState>,
}

impl Quote {
    /// The part of a content that a quote shows.
    pub fn cut(content: &str) -> &str {
        content.char_indices().nth(QUOTE_CHARS).map_or(content, |(end, _)| &content[..end])
    }
}

/// Bodies of chats never reach a log.
impl std::fmt::Debug for Quote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Quote").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The receiver of a chat in a direct conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Target {
    /// The receiver; the sender in a chat to oneself.
    #[serde(rename = "targetUserId")]
    #[schema(required = false)]
    pub id: UserId,
    /// What the receiver is called now.
    #[serde(rename = "targetUserName")]
    #[schema(required = false)]
    pub name: UserName,
}

/// A committed chat, as every answer and frame shows it. Names are those at the time of reading.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Chat {
    /// Rises strictly within the conversation.
    pub id: ChatId,
    /// The sender.
    pub user_id: UserId,
    /// What the sender is called now.
    pub user_name: UserName,
    /// The receiver; in direct conversations only.
    #[serde(flatten)]
    pub target: Option<Target>,
    /// What it says in plain text, whatever its kind.
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
    #[schema(value_type = String, example = "text")]
    pub kind: ChatKind,
    /// What it holds beside its content; absent for text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub body: Option<Payload>,
    /// What has become of it; absent while it is as it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "recalled")]
    pub state: Option<ChatState>,
    /// 1, and one more with each change.
    #[schema(minimum = 1)]
    pub version: u32,
    /// The chat that it quotes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reply_to: Option<Quote>,
    /// The members that it calls by name, or `"all"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<UserId>>)]
    pub mentions: Option<Mentions>,
}

/// Bodies of chats never reach a log.
impl std::fmt::Debug for Chat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chat")
            .field("id", &self.id)
            .field("user_id", &self.user_id)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

open_word! {
    /// What a conversation is.
    ConversationKind {
        /// Between two people, or one and oneself.
        Direct = "direct",
        /// Of any number of members, who come and go.
        Group = "group",
    }
}

/// The other side of a conversation, and when that user was last seen going offline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The other user; oneself in a conversation with oneself.
    pub user: User,
    /// When the last socket of that user went, if one ever did.
    pub last_seen_at: Option<Timestamp>,
    /// Whether the user may see when the other is there.
    pub shows_presence: bool,
}

/// What a group looks like to its members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupFace {
    /// What it is called; `None` if nobody gave it a name.
    pub title: Option<GroupTitle>,
    /// How many members it has.
    pub member_count: u32,
    /// Rises with each change of members and of their roles.
    pub members_version: u32,
}

/// What a member keeps of a conversation, on all devices.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OwnSettings {
    /// Whether it stands above the others.
    pub pinned: bool,
    /// Whether it counts in no total and rings no bell.
    pub muted: bool,
    /// Whether the member wants to see it as unread.
    pub marked_unread: bool,
    /// What the member has begun to write: at most 2,000 characters.
    #[schema(required = true)]
    pub draft: Option<String>,
}

/// A conversation, as one of its members sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// The same for all members.
    pub id: ConversationId,
    /// What it is.
    pub kind: ConversationKind,
    /// What a company's own back end calls it.
    pub external_id: Option<ExternalId>,
    /// The other side of a direct conversation.
    pub peer: Option<Peer>,
    /// What all members see of a group.
    pub group: Option<GroupFace>,
    /// What one is in a group; `None` in a direct conversation, and once one has left.
    pub role: Option<Role>,
    /// Whether one is no member any more, and sees it as it was at leaving.
    pub left: bool,
    /// The newest chat that one may read; `None` if all are gone for oneself.
    pub last_chat: Option<Chat>,
    /// Where it stands in the list: the id of its newest chat, whoever may read that. `None`: nobody has written yet, and
    /// no list has it.
    pub position: Option<ChatId>,
    /// Rises with each new chat and each change of one; `None` before the first.
    pub version: Option<ChatId>,
    /// Chats of others past one's read mark, counted to 99; 100 means more. Neither recalled ones nor system
    /// lines count.
    pub unread: u32,
    /// Whether one of them calls one by name.
    pub mentioned: bool,
    /// The last chat that one has read; `None` before the first.
    pub read_up_to: Option<ChatId>,
    /// The last chat that the other side has read; `None` before the first.
    pub peer_read_up_to: Option<ChatId>,
    /// Whether both sides have written in it.
    pub both_wrote: bool,
    /// What one keeps of it.
    pub own: OwnSettings,
}

/// What an event says of a conversation that began or changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConversationChange {
    /// Which one.
    pub id: ConversationId,
    /// What it is.
    pub kind: ConversationKind,
    /// What the user of the timeline sees of it; `None`: that user is no member any more.
    #[serde(flatten, serialize_with = "seen_or_left")]
    pub seen: Option<SeenConversation>,
}

/// Says `left` where nothing is seen.
#[expect(clippy::ref_option, reason = "serde hands over the field")]
fn seen_or_left<S: serde::Serializer>(
    seen: &Option<SeenConversation>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Left {
        left: bool,
    }
    match seen {
        Some(seen) => seen.serialize(serializer),
        None => Left { left: true }.serialize(serializer),
    }
}

/// What an event says to a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SeenConversation {
    /// As [`Conversation::external_id`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<ExternalId>,
    /// What all members see of a group.
    #[serde(flatten)]
    pub group: Option<GroupFace>,
    /// As [`Conversation::version`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<ChatId>,
    /// What the member keeps of it, in an event about that.
    #[serde(flatten)]
    pub own: Option<OwnConversation>,
}

/// What is one member's own of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnConversation {
    /// What the member is in a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// What the member keeps of it.
    #[serde(flatten)]
    pub settings: OwnSettings,
    /// It is out of the list until a chat comes after this one; 0 if it is in it.
    pub hidden_up_to: i64,
    /// Chats up to this one are gone for the member; 0 if none is.
    pub cleared_up_to: i64,
}
