//! Work that one replica at a time does. SQLite has one, and its restarts.

use std::time::Duration;

use super::SqliteStore;
use crate::domain::ReplicaId;

pub(super) async fn take(
    store: SqliteStore,
    name: String,
    replica: ReplicaId,
    lease: Duration,
) -> sqlx::Result<Option<String>> {
    let now = store.clock.now();
    sqlx::query_scalar(
        "INSERT INTO jobs (name, holder, until, progress) VALUES (?1, ?2, ?3, '')
         ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
         WHERE holder = excluded.holder OR until <= ?4
         RETURNING progress",
    )
    .bind(name)
    .bind(replica.get())
    .bind(now.after(lease).as_millis())
    .bind(now.as_millis())
    .fetch_optional(&store.writer)
    .await
}

pub(super) async fn save(
    store: SqliteStore,
    name: String,
    replica: ReplicaId,
    progress: String,
    lease: Duration,
) -> sqlx::Result<bool> {
    let saved =
        sqlx::query("UPDATE jobs SET progress = ?3, until = ?4 WHERE name = ?1 AND holder = ?2")
            .bind(name)
            .bind(replica.get())
            .bind(progress)
            .bind(store.clock.now().after(lease).as_millis())
            .execute(&store.writer)
            .await?;
    Ok(saved.rows_affected() > 0)
}
