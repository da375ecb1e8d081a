//! The contract about sessions: what a login leaves behind.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::FromRow;

use super::StoreError;
use crate::{
    clock::Timestamp,
    domain::{SessionId, UserId},
};

/// The SHA-256 of a session's token. Tokens themselves are never stored.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash(pub [u8; 32]);

impl std::fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenHash")
    }
}

/// A login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct Session {
    /// Rises in the order in which sessions of a user begin.
    pub id: SessionId,
    /// Whose it is.
    #[sqlx(rename = "user_id")]
    pub user: UserId,
    /// When it ends unless it is used; moved by [`Sessions::extend_sessions`].
    pub idle_expires_at: Timestamp,
    /// When it ends in any case.
    pub expires_at: Timestamp,
    /// Whether it was ended by hand.
    pub revoked: bool,
}

impl Session {
    /// Whether it counts at this time.
    pub fn is_live(&self, now: Timestamp) -> bool {
        !self.revoked && now < self.idle_expires_at && now < self.expires_at
    }
}

/// Sessions, from a login to their end. A token finds its session by
/// [`Handshakes::session`](super::Handshakes::session).
#[async_trait]
pub trait Sessions {
    /// Begins a session of a user who exists and was not erased, unused for at most `idle` and no longer
    /// than `max`.
    async fn create_session(
        &self,
        token: TokenHash,
        user: UserId,
        now: Timestamp,
        idle: Duration,
        max: Duration,
    ) -> Result<Session, StoreError>;

    /// The sessions of this list that exist, live or not, in any order.
    async fn sessions(&self, ids: &[SessionId]) -> Result<Vec<Session>, StoreError>;

    /// Looks at no more than `limit` sessions after `after`, in the order of their ids, and deletes those
    /// that ended by age or idleness before `before`, revoked or not. Returns the last id that was looked
    /// at; `None` if there was none. Several replicas may do so at a time.
    async fn delete_ended_sessions(
        &self,
        after: Option<SessionId>,
        before: Timestamp,
        limit: u32,
    ) -> Result<Option<SessionId>, StoreError>;

    /// Moves the idle end of these sessions to `until`. Never moves it backwards, and leaves revoked
    /// sessions alone.
    async fn extend_sessions(&self, ids: &[SessionId], until: Timestamp) -> Result<(), StoreError>;

    /// Ends a session for good. Ending it twice is no error.
    async fn revoke_session(&self, id: SessionId) -> Result<(), StoreError>;

    /// Ends all sessions of a user for good. Returns the bound: sessions with ids up to it are those, and
    /// later ones get higher ids. `None` if the user never had one.
    async fn revoke_sessions(&self, user: UserId) -> Result<Option<SessionId>, StoreError>;

    /// Ends at most `limit` sessions of a user for good. Whether there may be more.
    async fn revoke_some_sessions(&self, user: UserId, limit: u32) -> Result<bool, StoreError>;
}
