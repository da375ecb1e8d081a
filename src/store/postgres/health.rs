//! Whether the database answers, and which replicas live.

use std::collections::HashMap;

use async_trait::async_trait;
use futures_util::FutureExt;

use super::{PgStore, dialect::sql};
use crate::{
    clock::Timestamp,
    domain::ReplicaId,
    store::{
        Access, Health, StoreError,
        health::{REPLICA_FORGOTTEN, REPLICA_FRESH},
    },
};

#[async_trait]
impl Health for PgStore {
    async fn ping(&self) -> Result<Access, StoreError> {
        // A standby says so too.
        let query = sqlx::query_scalar("SELECT current_setting('transaction_read_only')::bool");
        let only_reads = self.read(|c| query.fetch_one(c).boxed());
        Ok(if only_reads.await? { Access::Reads } else { Access::Writes })
    }

    async fn note_replica(
        &self,
        replica: ReplicaId,
        is_heard: bool,
    ) -> Result<HashMap<ReplicaId, Timestamp>, StoreError> {
        // Those that are locked are being forgotten by another replica.
        let query = sqlx::query_as(concat!(
            "WITH now AS (SELECT ",
            sql!(now),
            " AS millis),
                     noted AS (
                         INSERT INTO replicas (id, is_heard, seen_at) SELECT $1, $2, millis FROM now
                         ON CONFLICT (id) DO UPDATE
                         SET is_heard = excluded.is_heard,
                             seen_at = greatest(excluded.seen_at, replicas.seen_at + 1)
                     ), forgotten AS (
                         DELETE FROM replicas WHERE id IN (
                             SELECT id FROM replicas, now WHERE seen_at < millis - $4 AND id <> $1
                             ORDER BY id FOR UPDATE OF replicas SKIP LOCKED)
                     )
                     SELECT id, seen_at FROM replicas, now
                     WHERE id <> $1 AND is_heard AND seen_at > millis - $3",
        ))
        .bind(replica)
        .bind(is_heard)
        .bind(REPLICA_FRESH)
        .bind(REPLICA_FORGOTTEN);
        let others: Vec<(ReplicaId, Timestamp)> =
            self.write(|c| query.fetch_all(c).boxed()).await?;
        Ok(others.into_iter().collect())
    }
}
