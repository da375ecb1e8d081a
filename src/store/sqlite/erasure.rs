//! Erasing a user.

use super::{SqliteStore, pictures};
use crate::{
    domain::{ClientMsgId, UserId, UserName},
    store::rows::{key, last_key},
};

pub(super) async fn erase_user(store: SqliteStore, user: UserId) -> sqlx::Result<bool> {
    let mut tx = store.begin().await?;
    let picture: Option<Option<String>> =
        sqlx::query_scalar("SELECT avatar FROM users WHERE id = ?1")
            .bind(user.get())
            .fetch_optional(&mut *tx)
            .await?;
    let Some(picture) = picture else {
        tx.rollback().await?;
        return Ok(false);
    };
    sqlx::query(
        "UPDATE users SET name = ?2, avatar = NULL, openid = NULL, demo_name = NULL,
             erased_at = coalesce(erased_at, ?3)
         WHERE id = ?1",
    )
    .bind(user.get())
    .bind(UserName::erased().as_str())
    .bind(store.clock.now().as_millis())
    .execute(&mut *tx)
    .await?;
    for statement in [
        "DELETE FROM timelines WHERE user_id = ?1",
        "UPDATE sessions SET revoked = 1 WHERE user_id = ?1 AND revoked = 0",
        "DELETE FROM identities WHERE user_id = ?1",
        "DELETE FROM last_seen WHERE user_id = ?1",
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
    store: SqliteStore,
    user: UserId,
    after: Option<ClientMsgId>,
    limit: u32,
) -> sqlx::Result<Option<ClientMsgId>> {
    const PAGE: &str = "SELECT max(client_msg_id) FROM (
             SELECT client_msg_id FROM chats WHERE sender_id = ?1 AND client_msg_id > ?2
             ORDER BY client_msg_id LIMIT ?3
         )";

    let mut tx = store.begin().await?;
    let last: Option<String> = sqlx::query_scalar(PAGE)
        .bind(user.get())
        .bind(key(after.as_ref()))
        .bind(limit)
        .fetch_one(&mut *tx)
        .await?;
    sqlx::query(
        "UPDATE chats SET content = '', body = NULL
         WHERE sender_id = ?1 AND client_msg_id > ?2 AND client_msg_id <= ?3 AND (content <> '' OR body IS NOT NULL)",
    )
    .bind(user.get())
    .bind(key(after.as_ref()))
    .bind(&last)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    last_key(last)
}
