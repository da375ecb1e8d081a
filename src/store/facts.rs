//! The contract about what a company's own back end is told of: as it is now, whoever may read it.

use std::collections::HashMap;

use async_trait::async_trait;
use sqlx::FromRow;

use super::StoreError;
use crate::domain::{
    Chat, ChatId, ConversationId, ConversationKind, ExternalId, GroupTitle, UserId,
};

/// A conversation, as nobody in particular sees it.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct ConversationFacts {
    /// The conversation.
    pub id: ConversationId,
    /// What it is.
    pub kind: ConversationKind,
    /// What a company's own back end calls it.
    pub external_id: Option<ExternalId>,
    /// What a group is called.
    pub title: Option<GroupTitle>,
    /// How many members a group has.
    pub member_count: i64,
    /// The two of a direct conversation; the same one twice in one with oneself.
    pub low_user: Option<UserId>,
    /// See `low_user`.
    pub high_user: Option<UserId>,
}

/// Lookups without an actor.
#[async_trait]
pub trait Facts {
    /// A chat.
    async fn chat(&self, id: ChatId) -> Result<Option<Chat>, StoreError>;

    /// A conversation.
    async fn conversation_facts(
        &self,
        id: ConversationId,
    ) -> Result<Option<ConversationFacts>, StoreError>;

    /// What a company's own back end calls those of these users that it knows.
    async fn external_ids(&self, users: &[UserId]) -> Result<HashMap<UserId, String>, StoreError>;
}
