//! The contract about what every client asks for that opens a socket. When a replica dies, all its clients
//! ask the others at once, so that a database may coalesce these calls.

use async_trait::async_trait;

use super::{Session, StoreError, TimelineRange, TokenHash};
use crate::domain::{ConnectionId, Epoch, UserId};

/// Where a timeline stands, and in which history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimelineState {
    /// The database's history.
    pub epoch: Epoch,
    /// What is kept of the timeline.
    pub range: TimelineRange,
}

/// What every handshake asks for. No answer is older than its call.
#[async_trait]
pub trait Handshakes {
    /// The session with this token, live or not.
    async fn session(&self, token: TokenHash) -> Result<Option<Session>, StoreError>;

    /// An id for a socket that opens now: above every id that any replica was given before.
    async fn next_connection(&self) -> Result<ConnectionId, StoreError>;

    /// [`Timelines::timeline_range`](super::Timelines::timeline_range) and [`History::epoch`](super::History::epoch)
    /// together.
    async fn timeline_state(&self, user: UserId) -> Result<TimelineState, StoreError>;
}
