//! The contract about closing the sockets of a user.

use std::collections::HashMap;

use async_trait::async_trait;

use super::StoreError;
use crate::domain::{ConnectionId, UserId};

/// Which sockets must close. Their ids are given out by
/// [`Handshakes::next_connection`](super::Handshakes::next_connection).
#[async_trait]
pub trait Sockets {
    /// Notes that all sockets of a user that are open now must close, wherever they are. Returns the
    /// bound: sockets with ids up to it are those, and later ones get higher ids.
    async fn close_sockets(&self, user: UserId) -> Result<ConnectionId, StoreError>;

    /// Up to which id sockets of these users must be closed: the highest bound that
    /// [`Sockets::close_sockets`] has returned. Users whose sockets were never closed are left out.
    async fn socket_closures(
        &self,
        users: &[UserId],
    ) -> Result<HashMap<UserId, ConnectionId>, StoreError>;
}
