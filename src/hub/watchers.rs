//! Which sockets show whose presence.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::Arc,
};

use parking_lot::Mutex;

use super::Socket;
use crate::{
    domain::{ConnectionId, UserId},
    protocol::Text,
};

/// By watched user, the sockets whose `watch` list names that user.
#[derive(Debug, Default)]
pub struct Watchers(Mutex<HashMap<UserId, Vec<Arc<Socket>>>>);

impl Watchers {
    /// Replaces the list of a socket, which was `before`.
    pub fn replace(&self, socket: &Arc<Socket>, before: &[UserId], now: &[UserId]) {
        let mut watched = self.0.lock();
        for user in before {
            remove(&mut watched, *user, socket.id);
        }
        for user in now {
            watched.entry(*user).or_default().push(Arc::clone(socket));
        }
    }

    /// Whose sockets watch this user.
    pub fn watching(&self, user: UserId) -> Vec<UserId> {
        let watched = self.0.lock();
        watched.get(&user).into_iter().flatten().map(|socket| socket.user).collect()
    }

    /// Shows this user to none of those any more.
    pub fn part(&self, user: UserId, others: &HashSet<UserId>) {
        let mut watched = self.0.lock();
        if let Entry::Occupied(mut entry) = watched.entry(user) {
            entry.get_mut().retain(|socket| !others.contains(&socket.user));
            if entry.get().is_empty() {
                entry.remove();
            }
        }
    }

    /// Whether anybody here watches this user.
    pub fn is_watched(&self, user: UserId) -> bool {
        self.0.lock().contains_key(&user)
    }

    /// Shows a frame to all who watch this user.
    pub fn notify(&self, user: UserId, frame: &Text) {
        if let Some(sockets) = self.0.lock().get(&user) {
            for socket in sockets {
                socket.mailbox.push_lossy(frame.clone());
            }
        }
    }
}

fn remove(watched: &mut HashMap<UserId, Vec<Arc<Socket>>>, user: UserId, id: ConnectionId) {
    if let Entry::Occupied(mut entry) = watched.entry(user) {
        entry.get_mut().retain(|socket| socket.id != id);
        if entry.get().is_empty() {
            entry.remove();
        }
    }
}
