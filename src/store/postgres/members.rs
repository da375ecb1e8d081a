//! Conversations of any number of members: how they begin, who comes and who goes.

use sqlx::{Connection, PgConnection};

use super::{now_millis, rows::ids};
use crate::{
    domain::{ConversationId, UserId},
    store::rows::id,
};

pub(super) async fn create_group(
    connection: &mut PgConnection,
    members: Vec<UserId>,
) -> sqlx::Result<ConversationId> {
    let group = sqlx::query_scalar(concat!(
        "WITH made AS (
             INSERT INTO conversations (kind, created_at) VALUES ('group', ",
        now_millis!(),
        ") RETURNING id
         ), joined AS (
             INSERT INTO members (conversation_id, user_id)
             SELECT made.id, n.id FROM made, (SELECT DISTINCT unnest($1::bigint[]) AS id) n
         )
         SELECT id FROM made"
    ))
    .bind(ids(&members))
    .fetch_one(connection)
    .await?;
    id(group)
}

pub(super) async fn add(
    connection: &mut PgConnection,
    conversation: ConversationId,
    users: Vec<UserId>,
) -> sqlx::Result<bool> {
    let mut tx = connection.begin().await?;
    let is_there = lock(&mut tx, conversation).await?;
    if is_there {
        sqlx::query(
            "INSERT INTO members (conversation_id, user_id)
             SELECT $1, n.id FROM (SELECT DISTINCT unnest($2::bigint[]) AS id) n
             ON CONFLICT (conversation_id, user_id) DO UPDATE SET state = 'member'
                 WHERE members.state <> 'member'",
        )
        .bind(conversation.get())
        .bind(ids(&users))
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await?;
    Ok(is_there)
}

pub(super) async fn remove(
    connection: &mut PgConnection,
    conversation: ConversationId,
    user: UserId,
) -> sqlx::Result<bool> {
    let mut tx = connection.begin().await?;
    let is_there = lock(&mut tx, conversation).await?;
    let mut removed = 0;
    if is_there {
        removed = sqlx::query(
            "UPDATE members SET state = 'left'
             WHERE conversation_id = $1 AND user_id = $2 AND state = 'member'",
        )
        .bind(conversation.get())
        .bind(user.get())
        .execute(&mut *tx)
        .await?
        .rows_affected();
    }
    tx.commit().await?;
    Ok(removed > 0)
}

/// Locks a conversation that is not direct, so that no chat is committed to it meanwhile. `false`: there
/// is none.
async fn lock(connection: &mut PgConnection, conversation: ConversationId) -> sqlx::Result<bool> {
    let found: Option<i64> = sqlx::query_scalar(
        "SELECT id FROM conversations WHERE id = $1 AND kind <> 'direct' FOR NO KEY UPDATE",
    )
    .bind(conversation.get())
    .fetch_optional(connection)
    .await?;
    Ok(found.is_some())
}
