//! Ids of sockets, and which of them must close.

use std::{collections::HashMap, ops::Range, sync::Arc};

use sqlx::SqlitePool;
use tokio::sync::Mutex;

use super::{SqliteStore, lists::ids};
use crate::{
    domain::{ConnectionId, UserId},
    store::rows::id,
};

/// How many ids are reserved with one write. Those that a process has not given out are lost with it.
const BLOCK: i64 = 1_000;

/// Ids that are this process's to give out.
pub(super) type Reserved = Arc<Mutex<Range<i64>>>;

/// The next id. A block begins after the last one and not before the time in microseconds: a file
/// that is restored from a backup does not know what was given out since.
pub(super) async fn next(store: SqliteStore) -> sqlx::Result<ConnectionId> {
    let mut reserved = store.connections.lock().await;
    if reserved.is_empty() {
        let end: i64 = sqlx::query_scalar(
            "UPDATE service SET next_connection_id = max(next_connection_id, ?1) + ?2 WHERE id = 1
             RETURNING next_connection_id",
        )
        .bind(store.clock.now().as_millis().saturating_mul(1_000))
        .bind(BLOCK)
        .fetch_one(&store.writer)
        .await?;
        *reserved = end - BLOCK..end;
    }
    let next = reserved.start;
    reserved.start += 1;
    id(next)
}

pub(super) async fn close(store: SqliteStore, user: UserId) -> sqlx::Result<ConnectionId> {
    let up_to = next(store.clone()).await?;
    // Of two at a time, the one that comes second may have drawn the lower id.
    let up_to = sqlx::query_scalar(
        "INSERT INTO closes (user_id, up_to) VALUES (?1, ?2)
         ON CONFLICT (user_id) DO UPDATE SET up_to = max(up_to, excluded.up_to)
         RETURNING up_to",
    )
    .bind(user.get())
    .bind(up_to.get())
    .fetch_one(&store.writer)
    .await?;
    id(up_to)
}

pub(super) async fn closes(
    reader: &SqlitePool,
    users: &[UserId],
) -> sqlx::Result<HashMap<UserId, ConnectionId>> {
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT user_id, up_to FROM closes WHERE user_id IN (SELECT value FROM json_each(?1))",
    )
    .bind(ids(users))
    .fetch_all(reader)
    .await?;
    rows.into_iter().map(|(user, up_to)| Ok((id(user)?, id(up_to)?))).collect()
}
