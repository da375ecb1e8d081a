//! Conversations of any number of members: how they begin, who comes and who goes. The write lock is the
//! lock of all conversations.

use super::{SqliteStore, lists::ids};
use crate::{
    domain::{ConversationId, UserId},
    store::rows::id,
};

pub(super) async fn create_group(
    store: SqliteStore,
    members: Vec<UserId>,
) -> sqlx::Result<ConversationId> {
    let mut tx = store.begin().await?;
    let group: i64 = sqlx::query_scalar(
        "INSERT INTO conversations (kind, created_at) VALUES ('group', ?1) RETURNING id",
    )
    .bind(store.clock.now().as_millis())
    .fetch_one(&mut *tx)
    .await?;
    sqlx::query(
        "INSERT INTO members (conversation_id, user_id)
         SELECT DISTINCT ?1, value FROM json_each(?2)",
    )
    .bind(group)
    .bind(ids(&members))
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    id(group)
}

pub(super) async fn add(
    store: SqliteStore,
    conversation: ConversationId,
    users: Vec<UserId>,
) -> sqlx::Result<bool> {
    let mut tx = store.begin().await?;
    let group: Option<i64> =
        sqlx::query_scalar("SELECT id FROM conversations WHERE id = ?1 AND kind <> 'direct'")
            .bind(conversation.get())
            .fetch_optional(&mut *tx)
            .await?;
    let Some(group) = group else { return Ok(false) };
    sqlx::query(
        "INSERT INTO members (conversation_id, user_id)
         SELECT DISTINCT ?1, value FROM json_each(?2) WHERE true
         ON CONFLICT (conversation_id, user_id) DO UPDATE SET state = 'member'",
    )
    .bind(group)
    .bind(ids(&users))
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(true)
}

pub(super) async fn remove(
    store: SqliteStore,
    conversation: ConversationId,
    user: UserId,
) -> sqlx::Result<bool> {
    let removed = sqlx::query(
        "UPDATE members SET state = 'left'
         WHERE conversation_id = ?1 AND user_id = ?2 AND state = 'member'
             AND (SELECT kind FROM conversations WHERE id = ?1) <> 'direct'",
    )
    .bind(conversation.get())
    .bind(user.get())
    .execute(&store.writer)
    .await?;
    Ok(removed.rows_affected() > 0)
}
