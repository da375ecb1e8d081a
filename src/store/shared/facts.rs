//! What a company's own back end is told of.

use std::collections::HashMap;

use async_trait::async_trait;
use futures_util::FutureExt;

use super::{Db, ids, queries::chats_query, sql};
use crate::{
    domain::{Chat, ChatId, ConversationId, UserId},
    store::{ConversationFacts, Facts, StoreError},
};

#[async_trait]
impl Facts for Db {
    async fn chat(&self, id: ChatId) -> Result<Option<Chat>, StoreError> {
        let query = sqlx::query_as(chats_query!("", "FROM chats c", "WHERE c.id = $1")).bind(id);
        self.read(|c| query.fetch_optional(c).boxed()).await
    }

    async fn conversation_facts(
        &self,
        id: ConversationId,
    ) -> Result<Option<ConversationFacts>, StoreError> {
        let query = sqlx::query_as(
            "SELECT id, kind, external_id, title, CAST(member_count AS BIGINT) AS member_count,
                 CASE WHEN kind = 'direct' THEN low_user END AS low_user,
                 CASE WHEN kind = 'direct' THEN high_user END AS high_user
             FROM conversations WHERE id = $1",
        )
        .bind(id);
        self.read(|c| query.fetch_optional(c).boxed()).await
    }

    async fn external_ids(&self, users: &[UserId]) -> Result<HashMap<UserId, String>, StoreError> {
        let query = sqlx::query_as(concat!(
            "SELECT user_id, subject FROM identities WHERE provider = 'external' AND user_id ",
            sql!(in "$1")
        ))
        .bind(ids(users));
        let rows: Vec<(UserId, String)> = self.read(|c| query.fetch_all(c).boxed()).await?;
        Ok(rows.into_iter().collect())
    }
}
