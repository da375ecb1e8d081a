//! Pictures of users. One is kept for as long as somebody has it, and several users may have the same.
//!
//! Whoever gives a picture to a user or takes it away locks the user first, and then the row of each
//! picture that is concerned, in the order of their hashes. Only then is it looked whether anybody has
//! the picture, in a statement of its own, which sees what was committed before the lock was had.

use bytes::Bytes;
use sqlx::{Connection, PgConnection};

use crate::{
    domain::{AvatarHash, User, UserId},
    store::rows::{UserRow, last_hash, start},
};

pub(super) async fn set_avatar(
    connection: &mut PgConnection,
    user: UserId,
    hash: AvatarHash,
    content_type: String,
    picture: Bytes,
) -> sqlx::Result<Option<User>> {
    let mut tx = connection.begin().await?;
    let replaced: Option<Option<String>> = sqlx::query_scalar(
        "SELECT avatar FROM users WHERE id = $1 AND erased_at IS NULL FOR NO KEY UPDATE",
    )
    .bind(user.get())
    .fetch_optional(&mut *tx)
    .await?;
    let Some(replaced) = replaced else {
        tx.rollback().await?;
        return Ok(None);
    };
    let replaced = replaced.filter(|replaced| replaced != hash.as_str());
    let replaced_first = replaced.as_deref().filter(|replaced| *replaced < hash.as_str());
    if let Some(replaced) = replaced_first {
        lock(&mut tx, replaced).await?;
    }
    // A row that is there is written to, which locks it.
    sqlx::query(
        "INSERT INTO avatars (hash, content_type, picture) VALUES ($1, $2, $3)
         ON CONFLICT (hash) DO UPDATE SET content_type = excluded.content_type",
    )
    .bind(hash.as_str())
    .bind(&content_type)
    .bind(picture.as_ref())
    .execute(&mut *tx)
    .await?;
    let row: UserRow =
        sqlx::query_as("UPDATE users SET avatar = $2 WHERE id = $1 RETURNING id, name, avatar")
            .bind(user.get())
            .bind(hash.as_str())
            .fetch_one(&mut *tx)
            .await?;
    if let Some(replaced) = replaced {
        drop_unless_had(&mut tx, &replaced).await?;
    }
    tx.commit().await?;
    row.try_into().map(Some)
}

/// Deletes a picture that the transaction has taken from a user, unless somebody else has it.
pub(super) async fn drop_unless_had(connection: &mut PgConnection, hash: &str) -> sqlx::Result<()> {
    lock(connection, hash).await?;
    sqlx::query(
        "DELETE FROM avatars a WHERE a.hash = $1
             AND NOT EXISTS (SELECT FROM users u WHERE u.avatar = a.hash)",
    )
    .bind(hash)
    .execute(connection)
    .await?;
    Ok(())
}

async fn lock(connection: &mut PgConnection, hash: &str) -> sqlx::Result<()> {
    sqlx::query("SELECT FROM avatars WHERE hash = $1 FOR UPDATE")
        .bind(hash)
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn drop_unused(
    connection: &mut PgConnection,
    after: Option<AvatarHash>,
    limit: u32,
) -> sqlx::Result<Option<AvatarHash>> {
    let mut tx = connection.begin().await?;
    // One that is locked is being given to somebody, or taken away and then dropped.
    let page: Vec<(String, bool)> = sqlx::query_as(
        "WITH page AS MATERIALIZED (
             SELECT hash FROM avatars WHERE hash > $1 ORDER BY hash LIMIT $2
         ), unused AS MATERIALIZED (
             SELECT a.hash FROM page JOIN avatars a USING (hash)
             WHERE NOT EXISTS (SELECT FROM users u WHERE u.avatar = a.hash)
             FOR UPDATE OF a SKIP LOCKED
         )
         SELECT page.hash, unused.hash IS NOT NULL FROM page LEFT JOIN unused USING (hash)
         ORDER BY page.hash",
    )
    .bind(start(after.as_ref()))
    .bind(i64::from(limit))
    .fetch_all(&mut *tx)
    .await?;
    let unused: Vec<&str> =
        page.iter().filter(|(_, unused)| *unused).map(|(hash, _)| hash.as_str()).collect();
    if !unused.is_empty() {
        sqlx::query(
            "DELETE FROM avatars a WHERE a.hash = ANY($1)
                 AND NOT EXISTS (SELECT FROM users u WHERE u.avatar = a.hash)",
        )
        .bind(unused)
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await?;
    last_hash(page.into_iter().last().map(|(hash, _)| hash))
}

pub(super) async fn avatar(
    connection: &mut PgConnection,
    hash: AvatarHash,
) -> sqlx::Result<Option<(String, Bytes)>> {
    let row: Option<(String, Vec<u8>)> =
        sqlx::query_as("SELECT content_type, picture FROM avatars WHERE hash = $1")
            .bind(hash.as_str())
            .fetch_optional(connection)
            .await?;
    Ok(row.map(|(content_type, picture)| (content_type, picture.into())))
}
