//! Closes sockets here whose close order the bus may have lost.

use super::{Delivery, close_matching};
use crate::{
    bus::CloseOrder,
    domain::{SessionId, UserId},
    store::StoreError,
};

impl Delivery {
    /// Closes the sockets here that `/close` named. By user: an anonymous socket has no session.
    pub async fn close_named(&self) -> Result<(), StoreError> {
        for slice in self.slices() {
            for (user, up_to) in self.store.socket_closures(&slice).await? {
                self.close_here(user, &CloseOrder::UpTo(up_to));
            }
        }
        Ok(())
    }

    /// Closes the sockets here of a session that has ended.
    pub fn close_session(&self, session: SessionId, user: UserId) {
        self.close_here(user, &CloseOrder::Session(session));
    }

    fn close_here(&self, user: UserId, order: &CloseOrder) {
        self.hub.with(user, |local| close_matching(local, order));
    }

    /// The sessions of all sockets here, with their users.
    pub fn sessions(&self) -> Vec<(SessionId, UserId)> {
        let mut sessions = Vec::new();
        self.hub.for_each(|user, local| {
            sessions
                .extend(local.sockets.iter().filter_map(|socket| Some((socket.session?, user))));
        });
        sessions.sort_unstable();
        sessions.dedup();
        sessions
    }
}
