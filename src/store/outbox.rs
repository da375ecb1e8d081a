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

/// Something that has happened.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct OutboxEntry {
    /// Rises within a conversation.
    pub id: OutboxId,
    /// What has happened: [`CHAT_CREATED`], or a kind of a newer version.
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

/// The outbox.
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

    /// Drops entries from before `before`, read or not, among the `limit` oldest. Returns how many: with
    /// less than `limit` it is done.
    async fn drop_outbox(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}
