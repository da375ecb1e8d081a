//! The contract about the outbox: what has happened, for readers outside.

use async_trait::async_trait;
use sqlx::FromRow;

use super::{OutboxCursor, StoreError};
use crate::{
    clock::Timestamp,
    domain::{ChatId, ConversationId, OutboxId},
};

/// The kind of an entry that tells of a new chat.
pub const CHAT_CREATED: &str = "chat.created";
/// The kind of an entry about a chat that was recalled.
pub const CHAT_RECALLED: &str = "chat.recalled";
/// The kind of an entry that tells of a new conversation; before those of its chats.
pub const CONVERSATION_CREATED: &str = "conversation.created";
/// The kind of an entry that tells who joined a group, left it, or has another role there.
pub const CONVERSATION_MEMBERS_CHANGED: &str = "conversation.members_changed";
/// The kind of an entry that tells of a new user.
pub const USER_CREATED: &str = "user.created";
/// The kind of an entry that tells that a user came online.
pub const USER_ONLINE: &str = "user.online";
/// The kind of an entry that tells that a user went offline.
pub const USER_OFFLINE: &str = "user.offline";
/// The kind of an entry about a chat that is held back.
pub const CHAT_HELD: &str = "chat.held";
/// The kind of an entry that tells of a report.
pub const REPORT_CREATED: &str = "report.created";

/// Every kind.
pub const OUTBOX_KINDS: [&str; 9] = [
    CHAT_CREATED,
    CHAT_RECALLED,
    CONVERSATION_CREATED,
    CONVERSATION_MEMBERS_CHANGED,
    USER_CREATED,
    USER_ONLINE,
    USER_OFFLINE,
    CHAT_HELD,
    REPORT_CREATED,
];

/// Something that has happened.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct OutboxEntry {
    /// Rises within a conversation.
    pub id: OutboxId,
    /// What has happened: one of [`OUTBOX_KINDS`], or a kind of a newer version.
    pub kind: String,
    /// Where it has happened, if in a conversation.
    #[sqlx(rename = "conversation_id")]
    pub conversation: Option<ConversationId>,
    /// The chat that it is about.
    #[sqlx(rename = "chat_id")]
    pub chat: Option<ChatId>,
    /// What no other row says, as JSON.
    pub payload: Option<Box<str>>,
    /// When it has happened.
    pub created_at: Timestamp,
}

/// Entries that follow each other, and where the next ones are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxPage {
    /// The entries; those of a conversation are in its order.
    pub entries: Vec<OutboxEntry>,
    /// The place after them.
    pub cursor: OutboxCursor,
    /// Whether the page is full: then there may be more already.
    pub has_more: bool,
}

/// The outbox. Each entry is committed with what it tells of, except that of a user who came online, which
/// nothing else in the database says.
#[async_trait]
pub trait Outbox {
    /// Says whether the outbox tells of chats. Each that is appended once this has returned is told or
    /// not told accordingly; and of the chats of a conversation that are committed meanwhile none that is
    /// told is followed by one that is not, or the other way round. Says it for all replicas, those that
    /// start later included.
    async fn switch_outbox(&self, on: bool) -> Result<(), StoreError>;

    /// At most `limit` entries after a place, and at least one if there is one; from the oldest that is
    /// kept on where `after` is `None` or a place in another history.
    ///
    /// A reader that goes on from page to page gets every entry that is committed before it is dropped,
    /// those of a conversation in their order, each once while the history stays. A transaction that hangs
    /// holds back its own entries, and no others. [`StoreError::Rejected`]: the place is of another kind
    /// of database.
    async fn read_outbox(
        &self,
        after: Option<&OutboxCursor>,
        limit: u32,
    ) -> Result<OutboxPage, StoreError>;

    /// The entries with these ids that are kept, by id.
    async fn outbox_entries(&self, ids: &[OutboxId]) -> Result<Vec<OutboxEntry>, StoreError>;

    /// The place before the first entry that is kept of those since a time; `None` if there is none.
    async fn outbox_since(&self, since: Timestamp) -> Result<Option<OutboxCursor>, StoreError>;

    /// Drops entries from before `before`, read or not, among the `limit` oldest. Returns how many: with
    /// less than `limit` it is done.
    async fn drop_outbox(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}
