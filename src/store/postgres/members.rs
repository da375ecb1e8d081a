//! Conversations of any number of members: how they begin, who comes and who goes.

use sqlx::PgConnection;

use super::{now_millis, rows::ids};
use crate::{
    domain::{ConversationId, UserId},
    store::rows::id,
};

/// Locks a conversation that is not direct, so that no chat is committed to it meanwhile.
macro_rules! locked {
    () => {
        "WITH locked AS MATERIALIZED (
             SELECT id FROM conversations WHERE id = $1 AND kind <> 'direct' FOR NO KEY UPDATE
         )"
    };
}

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

/// One statement: a transaction of several would keep the conversation locked while its replica is frozen.
pub(super) async fn add(
    connection: &mut PgConnection,
    conversation: ConversationId,
    users: Vec<UserId>,
) -> sqlx::Result<bool> {
    sqlx::query_scalar(concat!(
        locked!(),
        ", added AS (
             INSERT INTO members (conversation_id, user_id)
             SELECT locked.id, n.id FROM locked, (SELECT DISTINCT unnest($2::bigint[]) AS id) n
             ON CONFLICT (conversation_id, user_id) DO UPDATE SET state = 'member'
                 WHERE members.state <> 'member'
         )
         SELECT EXISTS (SELECT 1 FROM locked)"
    ))
    .bind(conversation.get())
    .bind(ids(&users))
    .fetch_one(connection)
    .await
}

pub(super) async fn remove(
    connection: &mut PgConnection,
    conversation: ConversationId,
    user: UserId,
) -> sqlx::Result<bool> {
    let removed = sqlx::query(concat!(
        locked!(),
        " UPDATE members m SET state = 'left' FROM locked
         WHERE m.conversation_id = locked.id AND m.user_id = $2 AND m.state = 'member'"
    ))
    .bind(conversation.get())
    .bind(user.get())
    .execute(connection)
    .await?;
    Ok(removed.rows_affected() > 0)
}
