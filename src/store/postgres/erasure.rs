//! Erasing a user.

use sqlx::{Connection, PgConnection};

use super::{now_millis, pictures};
use crate::{
    domain::{ClientMsgId, UserId, UserName},
    store::rows::{key, last_key},
};

pub(super) async fn erase_user(connection: &mut PgConnection, user: UserId) -> sqlx::Result<bool> {
    let mut tx = connection.begin().await?;
    // The counter first, as every batch does: one that waits for it finds that it is gone, and one that
    // had it has committed its chats.
    sqlx::query("DELETE FROM timelines WHERE user_id = $1")
        .bind(user.get())
        .execute(&mut *tx)
        .await?;
    let picture: Option<Option<String>> =
        sqlx::query_scalar("SELECT avatar FROM users WHERE id = $1 FOR UPDATE")
            .bind(user.get())
            .fetch_optional(&mut *tx)
            .await?;
    let Some(picture) = picture else {
        tx.rollback().await?;
        return Ok(false);
    };
    sqlx::query(concat!(
        "UPDATE users SET name = $2, avatar = NULL, openid = NULL, demo_name = NULL,
             erased_at = coalesce(erased_at, ",
        now_millis!(),
        ") WHERE id = $1"
    ))
    .bind(user.get())
    .bind(UserName::erased().as_str())
    .execute(&mut *tx)
    .await?;
    for statement in [
        "UPDATE sessions SET revoked = true WHERE user_id = $1 AND NOT revoked",
        "DELETE FROM identities WHERE user_id = $1",
        "DELETE FROM last_seen WHERE user_id = $1",
    ] {
        sqlx::query(statement).bind(user.get()).execute(&mut *tx).await?;
    }
    if let Some(picture) = picture {
        pictures::drop_unless_had(&mut tx, &picture).await?;
    }
    tx.commit().await?;
    Ok(true)
}

pub(super) async fn blank_chats(
    connection: &mut PgConnection,
    user: UserId,
    after: Option<ClientMsgId>,
    limit: u32,
) -> sqlx::Result<Option<ClientMsgId>> {
    let last: Option<String> = sqlx::query_scalar(
        "WITH page AS MATERIALIZED (
             SELECT id, client_msg_id FROM chats WHERE sender_id = $1 AND client_msg_id > $2
             ORDER BY client_msg_id LIMIT $3
         ), blanked AS (
             UPDATE chats c SET content = '', body = NULL FROM page
             WHERE c.id = page.id AND (c.content <> '' OR c.body IS NOT NULL)
         )
         SELECT max(client_msg_id) FROM page",
    )
    .bind(user.get())
    .bind(key(after.as_ref()))
    .bind(i64::from(limit))
    .fetch_one(connection)
    .await?;
    last_key(last)
}
