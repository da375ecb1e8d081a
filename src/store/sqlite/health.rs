//! Whether the file is there, and whether it takes what is written.

use super::SqliteStore;
use crate::store::Access;

/// More than a usual batch writes, so that a disk with room for less is found to be full.
const TRIAL_BYTES: i64 = 65_536;

pub(super) async fn ping(store: &SqliteStore) -> sqlx::Result<Access> {
    store.file.check()?;
    sqlx::query("SELECT 1").execute(&store.reader).await?;
    Ok(Access::Writes)
}

/// Commits a picture that nobody has and removes it: what is rolled back is never written.
pub(super) async fn try_writing(store: SqliteStore) -> sqlx::Result<()> {
    const HASH: &str = "a trial";
    let mut tx = store.begin().await?;
    sqlx::query(
        "INSERT INTO avatars (hash, content_type, picture) VALUES (?1, '', randomblob(?2))
         ON CONFLICT (hash) DO UPDATE SET picture = excluded.picture",
    )
    .bind(HASH)
    .bind(TRIAL_BYTES)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    sqlx::query("DELETE FROM avatars WHERE hash = ?1").bind(HASH).execute(&store.writer).await?;
    Ok(())
}
