//! Pictures of users. One is kept for as long as somebody has it, and several users may have the same.

use bytes::Bytes;
use sqlx::{SqliteConnection, SqlitePool};

use super::SqliteStore;
use crate::{
    domain::{AvatarHash, User, UserId},
    store::rows::{UserRow, last_hash, start},
};

pub(super) async fn set_avatar(
    store: SqliteStore,
    user: UserId,
    hash: AvatarHash,
    content_type: String,
    picture: Bytes,
) -> sqlx::Result<Option<User>> {
    let mut tx = store.begin().await?;
    let replaced: Option<String> =
        sqlx::query_scalar("SELECT avatar FROM users WHERE id = ?1 AND avatar <> ?2")
            .bind(user.get())
            .bind(hash.as_str())
            .fetch_optional(&mut *tx)
            .await?;
    sqlx::query(
        "INSERT INTO avatars (hash, content_type, picture) VALUES (?1, ?2, ?3)
         ON CONFLICT (hash) DO NOTHING",
    )
    .bind(hash.as_str())
    .bind(&content_type)
    .bind(picture.as_ref())
    .execute(&mut *tx)
    .await?;
    let row: Option<UserRow> = sqlx::query_as(
        "UPDATE users SET avatar = ?2 WHERE id = ?1 AND erased_at IS NULL
         RETURNING id, name, avatar",
    )
    .bind(user.get())
    .bind(hash.as_str())
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else {
        tx.rollback().await?;
        return Ok(None);
    };
    if let Some(replaced) = replaced {
        drop_unless_had(&mut tx, &replaced).await?;
    }
    tx.commit().await?;
    row.try_into().map(Some)
}

/// Deletes a picture that the transaction has taken from a user, unless somebody else has it.
pub(super) async fn drop_unless_had(
    connection: &mut SqliteConnection,
    hash: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "DELETE FROM avatars WHERE hash = ?1
             AND NOT EXISTS (SELECT 1 FROM users u WHERE u.avatar = ?1)",
    )
    .bind(hash)
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn drop_unused(
    store: SqliteStore,
    after: Option<AvatarHash>,
    limit: u32,
) -> sqlx::Result<Option<AvatarHash>> {
    const PAGE: &str = "SELECT max(hash) FROM (
             SELECT hash FROM avatars WHERE hash > ?1 ORDER BY hash LIMIT ?2
         )";

    let mut tx = store.begin().await?;
    let last: Option<String> = sqlx::query_scalar(PAGE)
        .bind(start(after.as_ref()))
        .bind(limit)
        .fetch_one(&mut *tx)
        .await?;
    sqlx::query(
        "DELETE FROM avatars WHERE hash > ?1 AND hash <= ?2
             AND NOT EXISTS (SELECT 1 FROM users u WHERE u.avatar = avatars.hash)",
    )
    .bind(start(after.as_ref()))
    .bind(&last)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    last_hash(last)
}

pub(super) async fn avatar(
    reader: &SqlitePool,
    hash: &AvatarHash,
) -> sqlx::Result<Option<(String, Bytes)>> {
    let row: Option<(String, Vec<u8>)> =
        sqlx::query_as("SELECT content_type, picture FROM avatars WHERE hash = ?1")
            .bind(hash.as_str())
            .fetch_optional(reader)
            .await?;
    Ok(row.map(|(content_type, picture)| (content_type, picture.into())))
}
