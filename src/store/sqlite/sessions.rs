//! Logins.

use std::time::Duration;

use sqlx::SqlitePool;

use super::{SqliteStore, lists::ids};
use crate::{
    clock::Timestamp,
    domain::{SessionId, UserId},
    store::{
        Session, TokenHash,
        error::nobody,
        rows::{SessionRow, all, id},
    },
};

pub(super) async fn create(
    store: SqliteStore,
    token: TokenHash,
    user: UserId,
    now: Timestamp,
    idle: Duration,
    max: Duration,
) -> sqlx::Result<Session> {
    let row: Option<SessionRow> = sqlx::query_as(
        "INSERT INTO sessions (token_hash, user_id, created_at, idle_expires_at, expires_at)
         SELECT ?1, u.id, ?3, ?4, ?5 FROM users u WHERE u.id = ?2 AND u.erased_at IS NULL
         RETURNING id, user_id, idle_expires_at, expires_at, revoked",
    )
    .bind(token.0.as_slice())
    .bind(user.get())
    .bind(now.as_millis())
    .bind(now.after(idle).as_millis())
    .bind(now.after(max).as_millis())
    .fetch_optional(&store.writer)
    .await?;
    row.ok_or_else(|| nobody(user))?.try_into()
}

pub(super) async fn by_token(
    reader: &SqlitePool,
    token: TokenHash,
) -> sqlx::Result<Option<Session>> {
    let row: Option<SessionRow> = sqlx::query_as(
        "SELECT id, user_id, idle_expires_at, expires_at, revoked FROM sessions
         WHERE token_hash = ?1",
    )
    .bind(token.0.as_slice())
    .fetch_optional(reader)
    .await?;
    row.map(Session::try_from).transpose()
}

pub(super) async fn by_ids(
    reader: &SqlitePool,
    sessions: &[SessionId],
) -> sqlx::Result<Vec<Session>> {
    let rows: Vec<SessionRow> = sqlx::query_as(
        "SELECT id, user_id, idle_expires_at, expires_at, revoked FROM sessions
         WHERE id IN (SELECT value FROM json_each(?1))",
    )
    .bind(ids(sessions))
    .fetch_all(reader)
    .await?;
    all(rows)
}

pub(super) async fn delete_ended(
    store: SqliteStore,
    after: Option<SessionId>,
    before: Timestamp,
    limit: u32,
) -> sqlx::Result<Option<SessionId>> {
    let mut transaction = store.begin().await?;
    let after = after.map_or(0, SessionId::get);
    let last: Option<i64> = sqlx::query_scalar(
        "SELECT max(id) FROM (SELECT id FROM sessions WHERE id > ?1 ORDER BY id LIMIT ?2)",
    )
    .bind(after)
    .bind(limit)
    .fetch_one(&mut *transaction)
    .await?;
    sqlx::query(
        "DELETE FROM sessions
         WHERE id > ?1 AND id <= ?2 AND min(idle_expires_at, expires_at) < ?3",
    )
    .bind(after)
    .bind(last)
    .bind(before.as_millis())
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    last.map(id).transpose()
}

pub(super) async fn extend(
    store: SqliteStore,
    sessions: Vec<SessionId>,
    until: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE sessions SET idle_expires_at = ?2
         WHERE id IN (SELECT value FROM json_each(?1)) AND idle_expires_at < ?2 AND revoked = 0",
    )
    .bind(ids(&sessions))
    .bind(until.as_millis())
    .execute(&store.writer)
    .await?;
    Ok(())
}

pub(super) async fn revoke(store: SqliteStore, session: SessionId) -> sqlx::Result<()> {
    sqlx::query("UPDATE sessions SET revoked = 1 WHERE id = ?1 AND revoked = 0")
        .bind(session.get())
        .execute(&store.writer)
        .await?;
    Ok(())
}

pub(super) async fn revoke_all(
    store: SqliteStore,
    user: UserId,
) -> sqlx::Result<Option<SessionId>> {
    let mut tx = store.begin().await?;
    sqlx::query("UPDATE sessions SET revoked = 1 WHERE user_id = ?1 AND revoked = 0")
        .bind(user.get())
        .execute(&mut *tx)
        .await?;
    let last: Option<i64> = sqlx::query_scalar("SELECT max(id) FROM sessions WHERE user_id = ?1")
        .bind(user.get())
        .fetch_one(&mut *tx)
        .await?;
    tx.commit().await?;
    last.map(id).transpose()
}

pub(super) async fn revoke_some(
    store: SqliteStore,
    user: UserId,
    limit: u32,
) -> sqlx::Result<bool> {
    let revoked = sqlx::query(
        "UPDATE sessions SET revoked = 1 WHERE id IN
             (SELECT id FROM sessions WHERE user_id = ?1 AND revoked = 0 LIMIT ?2)",
    )
    .bind(user.get())
    .bind(limit)
    .execute(&store.writer)
    .await?;
    Ok(revoked.rows_affected() >= limit.into())
}
