//! Conversations of any number of members: how they begin, who joins and who leaves.
//!
//! A change of members locks the conversation, so that no chat is committed to it meanwhile. It is one
//! statement: a transaction of several would keep the conversation locked while its replica is frozen.

use async_trait::async_trait;
use futures_util::FutureExt;

use super::{Db, ids, sql};
use crate::{
    domain::{ConversationId, UserId},
    store::{Members, StoreError},
};

/// Locks the conversation `$1` unless it is direct.
macro_rules! locked {
    () => {
        concat!(
            "(SELECT id FROM conversations WHERE id = $1 AND kind <> 'direct'",
            sql!(for "NO KEY UPDATE"),
            ") locked"
        )
    };
}

#[async_trait]
impl Members for Db {
    async fn create_group(&self, members: &[UserId]) -> Result<ConversationId, StoreError> {
        let (members, now) = (ids(members), self.now());
        self.transaction(move |c| {
            async move {
                let group: ConversationId = sqlx::query_scalar(concat!(
                    "INSERT INTO conversations (kind, created_at) VALUES ('group', ",
                    sql!(now "$1"),
                    ") RETURNING id"
                ))
                .bind(now)
                .fetch_one(&mut *c)
                .await?;
                sqlx::query(concat!(
                    "INSERT INTO members (conversation_id, user_id) SELECT DISTINCT $2, n.id FROM ",
                    sql!(rows "$1" as "n")
                ))
                .bind(members)
                .bind(group)
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
        // Conversations never end, so the two statements need not be of one moment.
        let query = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM conversations WHERE id = $1 AND kind <> 'direct')",
        )
        .bind(conversation);
        let is_there = self.read(|c| query.fetch_one(c).boxed()).await?;
        let query = sqlx::query(concat!(
            "INSERT INTO members (conversation_id, user_id) SELECT DISTINCT locked.id, n.id FROM ",
            locked!(),
            ", ",
            sql!(rows "$2" as "n"),
            " WHERE true
             ON CONFLICT (conversation_id, user_id) DO UPDATE SET state = 'member'
             WHERE members.state <> 'member'"
        ))
        .bind(conversation)
        .bind(ids(users));
        self.write(|c| query.execute(c).boxed()).await?;
        Ok(is_there)
    }

    async fn remove_member(
        &self,
        conversation: ConversationId,
        user: UserId,
    ) -> Result<bool, StoreError> {
        let query = sqlx::query(concat!(
            "UPDATE members AS m SET state = 'left' FROM ",
            locked!(),
            " WHERE m.conversation_id = locked.id AND m.user_id = $2 AND m.state = 'member'"
        ))
        .bind(conversation)
        .bind(user);
        Ok(self.write(|c| query.execute(c).boxed()).await?.rows_affected() > 0)
    }
}
