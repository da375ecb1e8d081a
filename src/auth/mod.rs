//! Sessions: opaque tokens, sliding expiry, revocation.

pub mod api_key;
pub mod host;
pub mod origin;
pub mod retention;
pub mod token;

use std::{collections::HashSet, sync::Arc, time::Duration};

use crate::{
    clock::{Clock, Timestamp},
    domain::{SessionId, UserId},
    store::{Session, Store, StoreError},
};
use token::Token;

/// A session is extended when less than this much of its idle time is left, so that use costs at
/// most one write in a tenth of the window.
const FRESH: f64 = 0.9;

/// Gives out, checks and ends sessions.
#[derive(Clone)]
pub struct Auth {
    store: Arc<dyn Store>,
    clock: Clock,
    idle: Duration,
    max: Duration,
}

/// A session that has just begun.
#[derive(Debug)]
pub struct Login {
    /// The session.
    pub session: SessionId,
    /// What the client proves itself with.
    pub token: Token,
    /// When it ends unless it is used.
    pub expires_at: Timestamp,
}

impl Auth {
    /// Sessions that end `idle` after their last use and `max` after their beginning.
    pub fn new(store: Arc<dyn Store>, clock: Clock, idle: Duration, max: Duration) -> Self {
        Self { store, clock, idle, max }
    }

    /// How long an unused session lives.
    pub fn idle(&self) -> Duration {
        self.idle
    }

    /// Begins a session of a user who exists.
    pub async fn log_in(&self, user: UserId) -> Result<Login, StoreError> {
        let token = Token::random();
        let now = self.clock.now();
        let session =
            self.store.create_session(token.hash(), user, now, self.idle, self.max).await?;
        let expires_at = session.idle_expires_at.min(session.expires_at);
        Ok(Login { session: session.id, token, expires_at })
    }

    /// The live session with this token. Counts as use.
    pub async fn authenticate(&self, token: &Token) -> Result<Option<Session>, StoreError> {
        let now = self.clock.now();
        let session =
            self.store.session(token.hash()).await?.filter(|session| session.is_live(now));
        if let Some(session) = &session
            && self.is_stale(session, now)
        {
            self.store.extend_sessions(&[session.id], now.after(self.idle)).await?;
        }
        Ok(session)
    }

    /// Ends a session.
    pub async fn log_out(&self, session: SessionId) -> Result<(), StoreError> {
        self.store.revoke_session(session).await
    }

    /// Ends all sessions of a user. Returns the last of them; `None` if there never was one.
    pub async fn log_out_everywhere(&self, user: UserId) -> Result<Option<SessionId>, StoreError> {
        self.store.revoke_sessions(user).await
    }

    /// Counts an open socket as use of these sessions; returns those that still stand.
    pub async fn keep_alive(&self, ids: &[SessionId]) -> Result<HashSet<SessionId>, StoreError> {
        let now = self.clock.now();
        let mut sessions = self.store.sessions(ids).await?;
        // Used all along, whatever the last note of its use says.
        sessions.retain(|session| !session.revoked && now < session.expires_at);
        let stale: Vec<_> = sessions
            .iter()
            .filter(|session| self.is_stale(session, now))
            .map(|session| session.id)
            .collect();
        if !stale.is_empty() {
            self.store.extend_sessions(&stale, now.after(self.idle)).await?;
        }
        Ok(sessions.into_iter().map(|session| session.id).collect())
    }

    fn is_stale(&self, session: &Session, now: Timestamp) -> bool {
        now.until(session.idle_expires_at) < self.idle.mul_f64(FRESH)
    }
}
