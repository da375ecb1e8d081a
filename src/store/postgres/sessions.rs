//! Logins.

use std::{collections::HashMap, time::Duration};

use sqlx::{Connection, FromRow, PgConnection};

use super::rows::ids;
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
    connection: &mut PgConnection,
    token: TokenHash,
    user: UserId,
    now: Timestamp,
    idle: Duration,
    max: Duration,
) -> sqlx::Result<Session> {
    // The lock is one that an erasure waits for, and it ends all sessions that it finds then.
    let row: Option<SessionRow> = sqlx::query_as(
        "INSERT INTO sessions (token_hash, user_id, created_at, idle_expires_at, expires_at)
         SELECT $1, u.id, $3, $4, $5 FROM users u WHERE u.id = $2 AND u.erased_at IS NULL
         FOR SHARE
         RETURNING id, user_id, idle_expires_at, expires_at, revoked",
    )
    .bind(token.0.as_slice())
    .bind(user.get())
    .bind(now.as_millis())
    .bind(now.after(idle).as_millis())
    .bind(now.after(max).as_millis())
    .fetch_optional(connection)
    .await?;
    row.ok_or_else(|| nobody(user))?.try_into()
}

/// In the order of the tokens.
pub(super) async fn by_tokens(
    connection: &mut PgConnection,
    tokens: Vec<TokenHash>,
) -> sqlx::Result<Vec<Option<Session>>> {
    let hashes: Vec<&[u8]> = tokens.iter().map(|token| token.0.as_slice()).collect();
    let rows: Vec<TokenRow> = sqlx::query_as(
        "SELECT token_hash, id, user_id, idle_expires_at, expires_at, revoked FROM sessions
         WHERE token_hash = ANY($1)",
    )
    .bind(hashes)
    .fetch_all(connection)
    .await?;
    let found = rows.into_iter().map(|row| Ok((row.token_hash, Session::try_from(row.session)?)));
    let found = found.collect::<sqlx::Result<HashMap<_, _>>>()?;
    Ok(tokens.iter().map(|token| found.get(token.0.as_slice()).copied()).collect())
}

#[derive(FromRow)]
struct TokenRow {
    token_hash: Vec<u8>,
    #[sqlx(flatten)]
    session: SessionRow,
}

pub(super) async fn by_ids(
    connection: &mut PgConnection,
    sessions: Vec<SessionId>,
) -> sqlx::Result<Vec<Session>> {
    let rows: Vec<SessionRow> = sqlx::query_as(
        "SELECT id, user_id, idle_expires_at, expires_at, revoked FROM sessions
         WHERE id = ANY($1)",
    )
    .bind(ids(&sessions))
    .fetch_all(connection)
    .await?;
    all(rows)
}

pub(super) async fn delete_ended(
    connection: &mut PgConnection,
    after: Option<SessionId>,
    before: Timestamp,
    limit: u32,
) -> sqlx::Result<Option<SessionId>> {
    // A session that somebody extends now is locked, and has not ended.
    let last: Option<i64> = sqlx::query_scalar(
        "WITH page AS (SELECT id FROM sessions WHERE id > $1 ORDER BY id LIMIT $3),
         ended AS (
             DELETE FROM sessions WHERE id IN (
                 SELECT id FROM sessions
                 WHERE id IN (SELECT id FROM page) AND least(idle_expires_at, expires_at) < $2
                 ORDER BY id FOR UPDATE SKIP LOCKED)
         )
         SELECT max(id) FROM page",
    )
    .bind(after.map_or(0, SessionId::get))
    .bind(before.as_millis())
    .bind(i64::from(limit))
    .fetch_one(connection)
    .await?;
    last.map(id).transpose()
}

/// In ascending id, as everywhere that several rows are written: two replicas that extend the same
/// sessions must not wait for each other.
pub(super) async fn extend(
    connection: &mut PgConnection,
    sessions: Vec<SessionId>,
    until: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE sessions s SET idle_expires_at = $2
         FROM (SELECT id FROM sessions
               WHERE id = ANY($1) AND idle_expires_at < $2 AND NOT revoked
               ORDER BY id FOR NO KEY UPDATE) locked
         WHERE s.id = locked.id",
    )
    .bind(ids(&sessions))
    .bind(until.as_millis())
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn revoke(connection: &mut PgConnection, session: SessionId) -> sqlx::Result<()> {
    sqlx::query("UPDATE sessions SET revoked = true WHERE id = $1 AND NOT revoked")
        .bind(session.get())
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn revoke_all(
    connection: &mut PgConnection,
    user: UserId,
) -> sqlx::Result<Option<SessionId>> {
    let mut tx = connection.begin().await?;
    // A session that is being begun holds the row, and has its id by then: it is waited for and found.
    // One that waits for the row itself gets a higher id.
    sqlx::query("SELECT FROM users WHERE id = $1 FOR NO KEY UPDATE")
        .bind(user.get())
        .execute(&mut *tx)
        .await?;
    let last: Option<i64> = sqlx::query_scalar("SELECT max(id) FROM sessions WHERE user_id = $1")
        .bind(user.get())
        .fetch_one(&mut *tx)
        .await?;
    // In ascending id, as where they are extended.
    sqlx::query(
        "UPDATE sessions s SET revoked = true
         FROM (SELECT id FROM sessions WHERE user_id = $1 AND NOT revoked
               ORDER BY id FOR NO KEY UPDATE) locked
         WHERE s.id = locked.id",
    )
    .bind(user.get())
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    last.map(id).transpose()
}

pub(super) async fn revoke_some(
    connection: &mut PgConnection,
    user: UserId,
    limit: u32,
) -> sqlx::Result<bool> {
    let revoked = sqlx::query(
        "UPDATE sessions s SET revoked = true
         FROM (SELECT id FROM sessions WHERE user_id = $1 AND NOT revoked
               ORDER BY id LIMIT $2 FOR NO KEY UPDATE) locked
         WHERE s.id = locked.id",
    )
    .bind(user.get())
    .bind(i64::from(limit))
    .execute(connection)
    .await?;
    Ok(revoked.rows_affected() >= limit.into())
}
