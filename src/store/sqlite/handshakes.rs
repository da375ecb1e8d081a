//! What every handshake asks for.

use std::{ops::Range, sync::Arc};

use async_trait::async_trait;
use futures_util::FutureExt;
use tokio::sync::Mutex;

use super::SqliteStore;
use crate::{
    domain::{ConnectionId, UserId},
    store::{Handshakes, History, Session, StoreError, TimelineState, Timelines, TokenHash},
};

/// How many ids of sockets are reserved with one write. Those that a process has not given out are lost with
/// it.
const BLOCK: i64 = 1_000;

/// Ids of sockets that are this process's to give out.
pub(super) type ReservedIds = Arc<Mutex<Range<i64>>>;

#[async_trait]
impl Handshakes for SqliteStore {
    async fn session(&self, token: TokenHash) -> Result<Option<Session>, StoreError> {
        let query = sqlx::query_as(
            "SELECT id, user_id, idle_expires_at, expires_at, revoked FROM sessions
                 WHERE token_hash = ?1",
        )
        .bind(token.0.to_vec());
        self.read(|c| query.fetch_optional(c).boxed()).await
    }

    async fn next_connection(&self) -> Result<ConnectionId, StoreError> {
        let store = self.clone();
        self.guarded(async move { store.draw_connection().await }).await
    }

    async fn timeline_state(&self, user: UserId) -> Result<TimelineState, StoreError> {
        let range = self.timeline_range(user).await?;
        Ok(TimelineState { epoch: self.epoch().await?, range })
    }
}

impl SqliteStore {
    /// A block begins after the last one and not before the time in microseconds: a file that is restored
    /// from a backup does not know what was given out since.
    async fn draw_connection(&self) -> sqlx::Result<ConnectionId> {
        let mut reserved = self.connection_ids.lock().await;
        if reserved.is_empty() {
            let end: i64 = sqlx::query_scalar(
                "UPDATE service SET next_connection_id = max(next_connection_id, ?1) + ?2
                 WHERE id = 1 RETURNING next_connection_id",
            )
            .bind(self.clock.now().as_millis().saturating_mul(1_000))
            .bind(BLOCK)
            .fetch_one(&self.writer)
            .await?;
            *reserved = end - BLOCK..end;
        }
        let next = reserved.start;
        reserved.start += 1;
        ConnectionId::new(next).map_err(|error| sqlx::Error::Decode(error.into()))
    }
}
