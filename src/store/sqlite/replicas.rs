//! Which replicas live, and whether they can be heard.

use std::collections::HashMap;

use super::SqliteStore;
use crate::{
    clock::Timestamp,
    domain::ReplicaId,
    store::{REPLICA_FORGOTTEN, REPLICA_FRESH, rows::id},
};

pub(super) async fn note(
    store: SqliteStore,
    replica: ReplicaId,
    is_heard: bool,
) -> sqlx::Result<HashMap<ReplicaId, Timestamp>> {
    let now = store.clock.now().as_millis();
    let mut transaction = store.begin().await?;
    sqlx::query(
        "INSERT INTO replicas (id, is_heard, seen_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (id) DO UPDATE
         SET is_heard = excluded.is_heard, seen_at = max(excluded.seen_at, seen_at + 1)",
    )
    .bind(replica.get())
    .bind(is_heard)
    .bind(now)
    .execute(&mut *transaction)
    .await?;
    sqlx::query("DELETE FROM replicas WHERE seen_at < ?1")
        .bind(now - REPLICA_FORGOTTEN)
        .execute(&mut *transaction)
        .await?;
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT id, seen_at FROM replicas WHERE id <> ?1 AND is_heard AND seen_at > ?2",
    )
    .bind(replica.get())
    .bind(now - REPLICA_FRESH)
    .fetch_all(&mut *transaction)
    .await?;
    transaction.commit().await?;
    rows.into_iter().map(|(replica, at)| Ok((id(replica)?, Timestamp::from_millis(at)))).collect()
}
