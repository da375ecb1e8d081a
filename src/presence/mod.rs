//! Who is online: a user is while a socket of theirs lives on a live replica.
//!
//! [`Presence`] is the contract, held to by one suite, `tests/it/presence_contract.rs`.

pub mod local;
mod outbox;
pub mod redis;

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;

pub use outbox::TRANSITION_QUEUE;

use crate::{
    clock::Timestamp,
    domain::{ConnectionId, UserId},
};

/// How long after the last socket went a user is announced offline, so that a reconnect is not seen.
pub const OFFLINE_GRACE: Duration = Duration::from_secs(5);

/// How lately a replica was heard of that counts as living without a doubt: more than the pause between
/// two signs of its life.
pub const HEARD_WITHIN: Duration = Duration::from_secs(6);

/// Why presence could not be read or written now.
#[derive(Debug, thiserror::Error)]
pub enum PresenceError {
    /// The place where it is kept did not answer.
    #[error("presence is not available: {0}")]
    Unavailable(String),
}

/// A user who has sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnlineUser {
    /// Who.
    pub user: UserId,
    /// How many sockets, on all replicas.
    pub connections: u32,
}

/// A socket, as the register knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Which one.
    pub id: ConnectionId,
    /// Whether its replica was heard of within [`HEARD_WITHIN`]. One that has died may be in the
    /// register for some seconds more.
    pub is_sure: bool,
}

/// A user came or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Who.
    pub user: UserId,
    /// Whether the user is online now.
    pub online: bool,
    /// When the first socket came, or the last one went.
    pub at: Timestamp,
    /// Rises with each transition of a user; an observer ignores one that is not newer.
    pub version: i64,
    /// Whether this replica is the one that announced it: of all that hear it, one.
    pub is_ours: bool,
}

/// The register of who is online.
///
/// A user is online from the first [`Presence::join`] until [`OFFLINE_GRACE`] after the last
/// [`Presence::leave`]; coming back within the grace is not seen by anybody. Each change is announced
/// once, to the receiver that the constructor returns beside the register.
#[async_trait]
pub trait Presence: Send + Sync + 'static {
    /// A socket of a user has opened. Joining twice with one id is joining once.
    async fn join(&self, user: UserId, connection: ConnectionId) -> Result<(), PresenceError>;

    /// A socket of a user has closed. Removes this connection and no other; leaving twice is no
    /// error.
    async fn leave(&self, user: UserId, connection: ConnectionId) -> Result<(), PresenceError>;

    /// Those of these users who are online.
    async fn online(&self, users: &[UserId]) -> Result<Vec<UserId>, PresenceError>;

    /// The sockets of these users on all replicas, each list in ascending id. Those without are left
    /// out.
    async fn connections(
        &self,
        users: &[UserId],
    ) -> Result<HashMap<UserId, Vec<Connection>>, PresenceError>;

    /// Leaves with all sockets that are left. Nothing is joined after that.
    async fn close(&self) {}

    /// Users who have sockets, by id, after `after`: at most `limit`. Fewer are the last ones. Those
    /// within the grace have none and are left out.
    async fn list(
        &self,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<OnlineUser>, PresenceError>;
}
