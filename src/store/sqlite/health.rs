//! Whether the file is there, and which replicas live.

use std::collections::HashMap;

use async_trait::async_trait;
use futures_util::FutureExt;

use super::{SqliteStore, error::classify};
use crate::{
    clock::Timestamp,
    domain::ReplicaId,
    store::{
        Access, Health, StoreError,
        health::{REPLICA_FORGOTTEN, REPLICA_FRESH},
    },
};

#[async_trait]
impl Health for SqliteStore {
    async fn ping(&self) -> Result<Access, StoreError> {
        self.file.check().map_err(classify)?;
        self.read(|c| sqlx::query("SELECT 1").execute(c).boxed()).await?;
        Ok(Access::Writes)
    }

    async fn note_replica(
        &self,
        replica: ReplicaId,
        is_heard: bool,
    ) -> Result<HashMap<ReplicaId, Timestamp>, StoreError> {
        let now = self.now().as_millis();
        let others: Vec<(ReplicaId, Timestamp)> = self
            .transaction(move |c| {
                async move {
                    sqlx::query(
                        "INSERT INTO replicas (id, is_heard, seen_at) VALUES (?1, ?2, ?3)
                         ON CONFLICT (id) DO UPDATE
                         SET is_heard = excluded.is_heard, seen_at = max(excluded.seen_at, seen_at + 1)",
                    )
                    .bind(replica)
                    .bind(is_heard)
                    .bind(now)
                    .execute(&mut *c)
                    .await?;
                    sqlx::query("DELETE FROM replicas WHERE seen_at < ?1")
                        .bind(now - REPLICA_FORGOTTEN)
                        .execute(&mut *c)
                        .await?;
                    sqlx::query_as(
                        "SELECT id, seen_at FROM replicas WHERE id <> ?1 AND is_heard AND seen_at > ?2",
                    )
                    .bind(replica)
                    .bind(now - REPLICA_FRESH)
                    .fetch_all(c)
                    .await
                }
                .boxed()
            })
            .await?;
        Ok(others.into_iter().collect())
    }
}
