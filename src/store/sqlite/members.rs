//! Conversations of any number of members: how they begin, who joins and who leaves. The write lock is the
//! lock of all conversations.

use async_trait::async_trait;
use futures_util::FutureExt;

use super::{SqliteStore, dialect::ids};
use crate::{
    domain::{ConversationId, UserId},
    store::{Members, StoreError},
};

#[async_trait]
impl Members for SqliteStore {
    async fn create_group(&self, members: &[UserId]) -> Result<ConversationId, StoreError> {
        let (members, now) = (ids(members), self.now());
        self.transaction(move |c| {
            async move {
                let group = sqlx::query_scalar(
                    "INSERT INTO conversations (kind, created_at) VALUES ('group', ?1) RETURNING id",
                )
                .bind(now)
                .fetch_one(&mut *c)
                .await?;
                sqlx::query(
                    "INSERT INTO members (conversation_id, user_id)
                     SELECT DISTINCT ?1, value FROM json_each(?2)",
                )
                .bind(group)
                .bind(members)
                .execute(c)
                .await?;
                Ok(group)
            }
            .boxed()
        })
        .await
    }

    async fn add_members(
        &self,
        conversation: ConversationId,
        users: &[UserId],
    ) -> Result<bool, StoreError> {
        let users = ids(users);
        self.transaction(move |c| {
            async move {
                let group: Option<ConversationId> = sqlx::query_scalar(
                    "SELECT id FROM conversations WHERE id = ?1 AND kind <> 'direct'",
                )
                .bind(conversation)
                .fetch_optional(&mut *c)
                .await?;
                let Some(group) = group else { return Ok(false) };
                sqlx::query(
                    "INSERT INTO members (conversation_id, user_id)
                     SELECT DISTINCT ?1, value FROM json_each(?2) WHERE true
                     ON CONFLICT (conversation_id, user_id) DO UPDATE SET state = 'member'",
                )
                .bind(group)
                .bind(users)
                .execute(c)
                .await?;
                Ok(true)
            }
            .boxed()
        })
        .await
    }

    async fn remove_member(
        &self,
        conversation: ConversationId,
        user: UserId,
    ) -> Result<bool, StoreError> {
        let query = sqlx::query_scalar(
            "UPDATE members SET state = 'left'
                     WHERE conversation_id = ?1 AND user_id = ?2 AND state = 'member'
                         AND (SELECT kind FROM conversations WHERE id = ?1) <> 'direct'
                     RETURNING user_id",
        )
        .bind(conversation)
        .bind(user);
        let removed: Option<UserId> = self.write(|c| query.fetch_optional(c).boxed()).await?;
        Ok(removed.is_some())
    }
}
