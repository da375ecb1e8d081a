//! Pictures of users.
//!
//! A transaction that gives a picture to a user, or takes one away, locks the user first, and then the row
//! of each picture that is concerned, in the order of their hashes. Only then does it ask whether anybody
//! has the picture, in a statement of its own, which sees what was committed before it got the lock.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;

use super::{Conn, Db, sql, texts};
use crate::{
    domain::{AvatarHash, User, UserId},
    store::{Avatars, StoreError, identity_columns::user_columns},
};

#[async_trait]
impl Avatars for Db {
    async fn set_avatar(
        &self,
        user: UserId,
        hash: &AvatarHash,
        content_type: &str,
        picture: Bytes,
    ) -> Result<Option<User>, StoreError> {
        let (hash, content_type) = (hash.clone(), content_type.to_owned());
        self.transaction(move |c| set(c, user, hash, content_type, picture).boxed()).await
    }

    async fn avatar(&self, hash: &AvatarHash) -> Result<Option<(String, Bytes)>, StoreError> {
        let hash = hash.clone();
        let query =
            sqlx::query_as("SELECT content_type, picture FROM avatars WHERE hash = $1").bind(hash);
        let row: Option<(String, Vec<u8>)> = self.read(|c| query.fetch_optional(c).boxed()).await?;
        Ok(row.map(|(content_type, picture)| (content_type, picture.into())))
    }

    async fn drop_unused_avatars(
        &self,
        after: Option<&AvatarHash>,
        limit: u32,
    ) -> Result<Option<AvatarHash>, StoreError> {
        // Every hash is greater than the empty text.
        let after = after.map_or("", AvatarHash::as_str).to_owned();
        self.transaction(move |c| drop_unused(c, after, limit).boxed()).await
    }
}

async fn set(
    connection: &mut Conn,
    user: UserId,
    hash: AvatarHash,
    content_type: String,
    picture: Bytes,
) -> sqlx::Result<Option<User>> {
    let replaced: Option<Option<AvatarHash>> = sqlx::query_scalar(concat!(
        "SELECT avatar FROM users WHERE id = $1 AND erased_at IS NULL",
        sql!(for "NO KEY UPDATE")
    ))
    .bind(user)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(replaced) = replaced else { return Ok(None) };
    let replaced = replaced.filter(|replaced| *replaced != hash);
    if let Some(replaced) = replaced.as_ref().filter(|first| first.as_str() < hash.as_str()) {
        lock(connection, replaced).await?;
    }
    // A row that is there is written to, which locks it.
    sqlx::query(
        "INSERT INTO avatars (hash, content_type, picture) VALUES ($1, $2, $3)
         ON CONFLICT (hash) DO UPDATE SET content_type = excluded.content_type",
    )
    .bind(&hash)
    .bind(content_type)
    .bind(picture.as_ref())
    .execute(&mut *connection)
    .await?;
    let user = sqlx::query_as(concat!(
        "UPDATE users SET avatar = $2, avatar_url = NULL WHERE id = $1 RETURNING ",
        user_columns!("users")
    ))
    .bind(user)
    .bind(&hash)
    .fetch_one(&mut *connection)
    .await?;
    if let Some(replaced) = replaced {
        drop_unless_had(connection, &replaced).await?;
    }
    Ok(Some(user))
}

/// Deletes a picture that the transaction has taken from a user, unless somebody else has it.
pub(super) async fn drop_unless_had(connection: &mut Conn, hash: &AvatarHash) -> sqlx::Result<()> {
    lock(connection, hash).await?;
    sqlx::query(
        "DELETE FROM avatars AS a WHERE a.hash = $1
             AND NOT EXISTS (SELECT 1 FROM users u WHERE u.avatar = a.hash)",
    )
    .bind(hash)
    .execute(connection)
    .await?;
    Ok(())
}

async fn lock(connection: &mut Conn, hash: &AvatarHash) -> sqlx::Result<()> {
    sqlx::query(concat!("SELECT 1 FROM avatars WHERE hash = $1", sql!(for "UPDATE")))
        .bind(hash)
        .execute(connection)
        .await?;
    Ok(())
}

async fn drop_unused(
    connection: &mut Conn,
    after: String,
    limit: u32,
) -> sqlx::Result<Option<AvatarHash>> {
    // One that is locked is being given to somebody, or taken away and then dropped.
    let page: Vec<(AvatarHash, bool)> = sqlx::query_as(concat!(
        "WITH page AS MATERIALIZED (
             SELECT hash FROM avatars WHERE hash > $1 ORDER BY hash LIMIT $2
         ), unused AS MATERIALIZED (
             SELECT a.hash FROM page JOIN avatars a ON a.hash = page.hash
             WHERE NOT EXISTS (SELECT 1 FROM users u WHERE u.avatar = a.hash)",
        sql!(for "UPDATE OF a SKIP LOCKED"),
        ")
         SELECT page.hash, unused.hash IS NOT NULL
         FROM page LEFT JOIN unused ON unused.hash = page.hash ORDER BY page.hash"
    ))
    .bind(after)
    .bind(i64::from(limit))
    .fetch_all(&mut *connection)
    .await?;
    let unused = page.iter().filter(|(_, is_unused)| *is_unused).map(|(hash, _)| hash.as_str());
    sqlx::query(concat!(
        "DELETE FROM avatars AS a WHERE a.hash ",
        sql!(in "$1"),
        " AND NOT EXISTS (SELECT 1 FROM users u WHERE u.avatar = a.hash)"
    ))
    .bind(texts(unused))
    .execute(connection)
    .await?;
    Ok(page.into_iter().last().map(|(hash, _)| hash))
}
