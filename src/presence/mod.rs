//! Who is online: a user is while a socket of theirs lives on a live replica.
//!
//! [`Presence`] is the contract, held to by one suite, `tests/it/contracts/presence/`.

pub mod local;
mod outbox;
pub mod redis;
mod sockets;

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;

pub use outbox::TRANSITION_QUEUE;
pub use sockets::LocalSockets;

use crate::{
    clock::Timestamp,
    domain::{ConnectionId, UserId},
};

/// How long after the last socket went a user is announced offline, so that a reconnect is not seen.
pub const OFFLINE_GRACE: Duration = Duration::from_secs(5);

/// A replica that renewed its lease this lately lives without a doubt: more than the pause between two
/// renewals.
pub const HEARD_WITHIN: Duration = Duration::from_secs(6);

/// Why presence could not be read or written now.
#[derive(Debug, thiserror::Error)]
pub enum PresenceError {
    /// Redis did not answer, or refused.
    #[error("presence is not available: {0}")]
    Unavailable(String),
}

/// A user who has sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnlineUser {
    /// At least one socket of this user is open.
    pub user: UserId,
    /// The number of sockets on all replicas.
    pub connections: u32,
}

/// A socket, as the register knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Rises in the order in which sockets opened, over all replicas.
    pub id: ConnectionId,
    /// Whether its replica renewed its lease within [`HEARD_WITHIN`]. The sockets of a replica that has
    /// died stay in the register until its lease ends.
    pub is_sure: bool,
    /// Whether its client has said that nobody looks at it.
    pub is_background: bool,
}

/// A user came or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The user who came or went.
    pub user: UserId,
    /// Whether the user is online now.
    pub online: bool,
    /// When the first socket came, or the last one went.
    pub at: Timestamp,
    /// Rises with each transition of a user; an observer ignores one that is not newer.
    pub version: i64,
    /// Whether this replica announced it. Of all replicas that hear a transition, one did.
    pub is_ours: bool,
}

/// The register of who is online.
///
/// A user is online from the first [`Presence::join`] until [`OFFLINE_GRACE`] after the last
/// [`Presence::leave`]; nobody sees a user come back within the grace. Each change is announced at least
/// once, to the receiver that the constructor returns beside the register.
#[async_trait]
pub trait Presence: Send + Sync + 'static {
    /// A socket of a user has opened. Joining twice with one id is joining once.
    async fn join(&self, user: UserId, connection: ConnectionId) -> Result<(), PresenceError>;

    /// A socket of a user has closed. Removes this connection and no other. Leaving twice is no error.
    async fn leave(&self, user: UserId, connection: ConnectionId) -> Result<(), PresenceError>;

    /// Notes whether somebody looks at a socket. One that opens is looked at. Of a socket that is not open
    /// nothing is noted. It changes nothing about who is online.
    async fn set_background(
        &self,
        user: UserId,
        connection: ConnectionId,
        is_background: bool,
    ) -> Result<(), PresenceError>;

    /// Those of these users who are online, in the order of `users`.
    async fn online(&self, users: &[UserId]) -> Result<Vec<UserId>, PresenceError>;

    /// The sockets of these users on all replicas, each list in ascending id. Those without are left
    /// out.
    async fn connections(
        &self,
        users: &[UserId],
    ) -> Result<HashMap<UserId, Vec<Connection>>, PresenceError>;

    /// Leaves with all sockets that are still open. Joins fail after that.
    async fn close(&self) {}

    /// The first `limit` users with an id above `after` who have sockets, by id. Fewer than `limit` means
    /// that nobody follows. Users within the grace have no sockets and are left out.
    async fn list(
        &self,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<OnlineUser>, PresenceError>;
}
