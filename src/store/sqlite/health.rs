//! Whether the file is there.

use super::SqliteStore;

pub(super) async fn ping(store: &SqliteStore) -> sqlx::Result<()> {
    store.file.check()?;
    sqlx::query("SELECT 1").execute(&store.reader).await?;
    Ok(())
}
