//! Sessions, from a login to their end.
//!
//! Wherever several rows are written, they are locked in ascending id: two replicas that write the same
//! sessions must not wait for each other.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;

use super::{Conn, Db, ids, sql};
use crate::{
    clock::Timestamp,
    domain::{SessionId, UserId},
    store::{Session, Sessions, StoreError, TokenHash, error::nobody},
};

#[async_trait]
impl Sessions for Db {
    async fn create_session(
        &self,
        token: TokenHash,
        user: UserId,
        now: Timestamp,
        idle: Duration,
        max: Duration,
    ) -> Result<Session, StoreError> {
        // The lock is one that an erasure waits for, and it ends all sessions that it finds then.
        let query = sqlx::query_as(concat!(
            "INSERT INTO sessions (token_hash, user_id, created_at, idle_expires_at, expires_at)
             SELECT $1, u.id, $3, $4, $5 FROM users u WHERE u.id = $2 AND u.erased_at IS NULL",
            sql!(for "SHARE"),
            " RETURNING id, user_id, idle_expires_at, expires_at, revoked"
        ))
        .bind(token.0.to_vec())
        .bind(user)
        .bind(now)
        .bind(now.after(idle))
        .bind(now.after(max));
        let session = self.write(|c| query.fetch_optional(c).boxed()).await?;
        session.ok_or_else(|| nobody(user))
    }

    async fn sessions(&self, sessions: &[SessionId]) -> Result<Vec<Session>, StoreError> {
        let query = sqlx::query_as(concat!(
            "SELECT id, user_id, idle_expires_at, expires_at, revoked FROM sessions WHERE id ",
            sql!(in "$1")
        ))
        .bind(ids(sessions));
        self.read(|c| query.fetch_all(c).boxed()).await
    }

    async fn delete_ended_sessions(
        &self,
        after: Option<SessionId>,
        before: Timestamp,
        limit: u32,
    ) -> Result<Option<SessionId>, StoreError> {
        let after = after.map_or(0, SessionId::get);
        let query = sqlx::query_scalar(
            "SELECT max(id) FROM (SELECT id FROM sessions WHERE id > $1 ORDER BY id LIMIT $2) page",
        )
        .bind(after)
        .bind(i64::from(limit));
        let last: Option<SessionId> = self.read(|c| query.fetch_one(c).boxed()).await?;
        // A session that somebody extends now is locked, and has not ended.
        let query = sqlx::query(concat!(
            "DELETE FROM sessions WHERE id IN (
                 SELECT id FROM sessions WHERE id > $1 AND id <= $2 AND ",
            sql!(least "idle_expires_at, expires_at"),
            " < $3 ORDER BY id",
            sql!(for "UPDATE SKIP LOCKED"),
            ")"
        ))
        .bind(after)
        .bind(last)
        .bind(before);
        self.write(|c| query.execute(c).boxed()).await?;
        Ok(last)
    }

    async fn extend_sessions(
        &self,
        sessions: &[SessionId],
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let query = sqlx::query(concat!(
            "UPDATE sessions AS s SET idle_expires_at = $2
                     FROM (SELECT id FROM sessions WHERE id ",
            sql!(in "$1"),
            " AND idle_expires_at < $2 AND NOT revoked ORDER BY id",
            sql!(for "NO KEY UPDATE"),
            ") locked
                     WHERE s.id = locked.id"
        ))
        .bind(ids(sessions))
        .bind(until);
        self.write(|c| query.execute(c).boxed()).await?;
        Ok(())
    }

    async fn revoke_session(&self, id: SessionId) -> Result<(), StoreError> {
        let query = sqlx::query("UPDATE sessions SET revoked = true WHERE id = $1 AND NOT revoked")
            .bind(id);
        self.write(|c| query.execute(c).boxed()).await?;
        Ok(())
    }

    async fn revoke_sessions(&self, user: UserId) -> Result<Option<SessionId>, StoreError> {
        self.transaction(move |c| {
            async move {
                // A session that is being begun holds the row, and has its id by then: it is waited for
                // and found. One that waits for the row itself gets a higher id.
                sqlx::query(concat!(
                    "SELECT 1 FROM users WHERE id = $1",
                    sql!(for "NO KEY UPDATE")
                ))
                .bind(user)
                .execute(&mut *c)
                .await?;
                let last = sqlx::query_scalar("SELECT max(id) FROM sessions WHERE user_id = $1")
                    .bind(user)
                    .fetch_one(&mut *c)
                    .await?;
                revoke(c, user, i64::MAX).await?;
                Ok(last)
            }
            .boxed()
        })
        .await
    }

    async fn revoke_some_sessions(&self, user: UserId, limit: u32) -> Result<bool, StoreError> {
        self.write(move |c| {
            async move { Ok(revoke(c, user, limit.into()).await? >= limit.into()) }.boxed()
        })
        .await
    }
}

/// Revokes at most `limit` sessions of a user. Returns how many.
async fn revoke(connection: &mut Conn, user: UserId, limit: i64) -> sqlx::Result<u64> {
    let revoked = sqlx::query(concat!(
        "UPDATE sessions AS s SET revoked = true
         FROM (SELECT id FROM sessions WHERE user_id = $1 AND NOT revoked
               ORDER BY id LIMIT $2",
        sql!(for "NO KEY UPDATE"),
        ") locked
         WHERE s.id = locked.id"
    ))
    .bind(user)
    .bind(limit)
    .execute(connection)
    .await?;
    Ok(revoked.rows_affected())
}
