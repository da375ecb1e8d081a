//! Which replicas live, and whether they can be heard.

use std::collections::HashMap;

use sqlx::PgConnection;

use super::now_millis;
use crate::{
    clock::Timestamp,
    domain::ReplicaId,
    store::{REPLICA_FORGOTTEN, REPLICA_FRESH, rows::id},
};

pub(super) async fn note(
    connection: &mut PgConnection,
    replica: ReplicaId,
    is_heard: bool,
) -> sqlx::Result<HashMap<ReplicaId, Timestamp>> {
    // Those that are locked are being forgotten by another replica.
    let rows: Vec<(i64, i64)> = sqlx::query_as(concat!(
        "WITH now AS (SELECT ",
        now_millis!(),
        " AS millis),
         noted AS (
             INSERT INTO replicas (id, is_heard, seen_at) SELECT $1, $2, millis FROM now
             ON CONFLICT (id) DO UPDATE
             SET is_heard = excluded.is_heard, seen_at = greatest(excluded.seen_at, replicas.seen_at + 1)
         ), forgotten AS (
             DELETE FROM replicas WHERE id IN (
                 SELECT id FROM replicas, now WHERE seen_at < millis - $4 AND id <> $1
                 ORDER BY id FOR UPDATE OF replicas SKIP LOCKED)
         )
         SELECT id, seen_at FROM replicas, now WHERE id <> $1 AND is_heard AND seen_at > millis - $3",
    ))
    .bind(replica.get())
    .bind(is_heard)
    .bind(REPLICA_FRESH)
    .bind(REPLICA_FORGOTTEN)
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(|(replica, at)| Ok((id(replica)?, Timestamp::from_millis(at)))).collect()
}
