//! Ids of sockets, and which of them must close.

use std::collections::HashMap;

use sqlx::PgConnection;

use super::rows::ids;
use crate::{
    domain::{ConnectionId, UserId},
    store::rows::id,
};

/// So many ids, in rising order.
pub(super) async fn next(
    connection: &mut PgConnection,
    count: usize,
) -> sqlx::Result<Vec<ConnectionId>> {
    let ids: Vec<i64> =
        sqlx::query_scalar("SELECT nextval('connection_ids') FROM generate_series(1, $1)")
            .bind(i32::try_from(count).unwrap_or(i32::MAX))
            .fetch_all(connection)
            .await?;
    ids.into_iter().map(id).collect()
}

/// Raises the ids to the time in microseconds, unless they are past it. Within a transaction that has
/// locked the row of `service`, since one that is overtaken by another would lower them again. Those
/// that are given out meanwhile come to one a microsecond only on a machine that there is not.
pub(super) async fn raise(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query(
        "SELECT setval('connection_ids', now.micros)
         FROM connection_ids,
             (SELECT floor(extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS micros) now
         WHERE connection_ids.last_value < now.micros",
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn close(
    connection: &mut PgConnection,
    user: UserId,
) -> sqlx::Result<ConnectionId> {
    // Of two at a time, the one that comes second may have drawn the lower id.
    let up_to = sqlx::query_scalar(
        "INSERT INTO closes (user_id, up_to) VALUES ($1, nextval('connection_ids'))
         ON CONFLICT (user_id) DO UPDATE SET up_to = greatest(closes.up_to, excluded.up_to)
         RETURNING up_to",
    )
    .bind(user.get())
    .fetch_one(connection)
    .await?;
    id(up_to)
}

pub(super) async fn closes(
    connection: &mut PgConnection,
    users: Vec<UserId>,
) -> sqlx::Result<HashMap<UserId, ConnectionId>> {
    let rows: Vec<(i64, i64)> =
        sqlx::query_as("SELECT user_id, up_to FROM closes WHERE user_id = ANY($1)")
            .bind(ids(&users))
            .fetch_all(connection)
            .await?;
    rows.into_iter().map(|(user, up_to)| Ok((id(user)?, id(up_to)?))).collect()
}
