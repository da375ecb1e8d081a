//! Conversations of any number of members: how they begin, who joins and who leaves.
//!
//! Each change is one statement: a transaction of several would keep the conversation locked while its
//! replica is frozen.

use async_trait::async_trait;
use futures_util::FutureExt;

use super::{
    PgStore,
    dialect::{ids, sql},
};
use crate::{
    domain::{ConversationId, UserId},
    store::{Members, StoreError},
};

/// Locks a conversation that is not direct, so that no chat is committed to it meanwhile.
macro_rules! locked {
    () => {
        "WITH locked AS MATERIALIZED (
             SELECT id FROM conversations WHERE id = $1 AND kind <> 'direct' FOR NO KEY UPDATE
         )"
    };
}

#[async_trait]
impl Members for PgStore {
    async fn create_group(&self, members: &[UserId]) -> Result<ConversationId, StoreError> {
        let query = sqlx::query_scalar(concat!(
            "WITH made AS (
                     INSERT INTO conversations (kind, created_at) VALUES ('group', ",
            sql!(now),
            ") RETURNING id
                 ), joined AS (
                     INSERT INTO members (conversation_id, user_id)
                     SELECT made.id, n.id FROM made, (SELECT DISTINCT unnest($1::bigint[]) AS id) n
                 )
                 SELECT id FROM made"
        ))
        .bind(ids(members));
        self.write(|c| query.fetch_one(c).boxed()).await
    }

    async fn add_members(
        &self,
        conversation: ConversationId,
        users: &[UserId],
    ) -> Result<bool, StoreError> {
        let query = sqlx::query_scalar(concat!(
            locked!(),
            ", added AS (
                     INSERT INTO members (conversation_id, user_id)
                     SELECT locked.id, n.id
                     FROM locked, (SELECT DISTINCT unnest($2::bigint[]) AS id) n
                     ON CONFLICT (conversation_id, user_id) DO UPDATE SET state = 'member'
                         WHERE members.state <> 'member'
                 )
                 SELECT EXISTS (SELECT 1 FROM locked)"
        ))
        .bind(conversation)
        .bind(ids(users));
        self.write(|c| query.fetch_one(c).boxed()).await
    }

    async fn remove_member(
        &self,
        conversation: ConversationId,
        user: UserId,
    ) -> Result<bool, StoreError> {
        let query = sqlx::query_scalar(concat!(
            locked!(),
            " UPDATE members m SET state = 'left' FROM locked
                     WHERE m.conversation_id = locked.id AND m.user_id = $2 AND m.state = 'member'
                     RETURNING m.user_id"
        ))
        .bind(conversation)
        .bind(user);
        let removed: Option<UserId> = self.write(|c| query.fetch_optional(c).boxed()).await?;
        Ok(removed.is_some())
    }
}
