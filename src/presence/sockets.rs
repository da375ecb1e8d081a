//! The sockets that are open in this process, and whose grace runs.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    ops::Bound,
    time::Duration,
};

use tokio::time::Instant;

use crate::domain::{ConnectionId, UserId};

/// The most graces that run at once. Who leaves beyond that, which takes a Redis that is away for long,
/// is not announced offline; nobody stays online for it.
const MAX_LEFT: usize = 262_144;

/// Everybody who is online because of this process.
#[derive(Debug)]
pub struct LocalSockets {
    grace: Duration,
    users: BTreeMap<UserId, Entry>,
    /// Those of the open sockets that nobody looks at.
    background: HashSet<ConnectionId>,
    /// Those who have left, in that order.
    left: BTreeSet<(Instant, UserId)>,
}

/// One user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// These sockets are open: at least one.
    Open(BTreeSet<ConnectionId>),
    /// The last socket closed at this time. The user may be back before anybody notices.
    Left(Instant),
}

impl LocalSockets {
    /// No sockets. The grace of a user who has left is over after `grace`.
    pub fn new(grace: Duration) -> Self {
        let (users, background, left) = (BTreeMap::new(), HashSet::new(), BTreeSet::new());
        Self { grace, users, background, left }
    }

    /// Takes note of a socket that has opened.
    pub fn join(&mut self, user: UserId, connection: ConnectionId) {
        if let Some(&Entry::Left(since)) = self.users.get(&user) {
            self.forget(user, since);
        }
        let entry = self.users.entry(user).or_insert_with(|| Entry::Open(BTreeSet::new()));
        if let Entry::Open(connections) = entry
            && connections.insert(connection)
        {
            metrics::gauge!("imserver_presence_sockets").increment(1);
        }
    }

    /// Takes note of a socket that has closed. With the user's last one the grace begins.
    pub fn leave(&mut self, user: UserId, connection: ConnectionId) {
        let Some(Entry::Open(connections)) = self.users.get_mut(&user) else { return };
        if connections.remove(&connection) {
            self.background.remove(&connection);
            metrics::gauge!("imserver_presence_sockets").decrement(1);
        }
        if !connections.is_empty() {
            return;
        }
        self.users.remove(&user);
        if self.left.len() < MAX_LEFT {
            let now = Instant::now();
            self.users.insert(user, Entry::Left(now));
            self.left.insert((now, user));
        } else {
            metrics::counter!("imserver_presence_departures_forgotten_total").increment(1);
        }
    }

    /// Takes note of whether somebody looks at a socket. Returns whether that is news.
    pub fn set_background(
        &mut self,
        user: UserId,
        connection: ConnectionId,
        is_background: bool,
    ) -> bool {
        match self.users.get(&user) {
            Some(Entry::Open(connections)) if connections.contains(&connection) => {
                if is_background {
                    self.background.insert(connection)
                } else {
                    self.background.remove(&connection)
                }
            }
            _ => false,
        }
    }

    /// Whether nobody looks at this socket.
    pub(super) fn is_background(&self, connection: ConnectionId) -> bool {
        self.background.contains(&connection)
    }

    /// What is known of a user.
    pub(super) fn get(&self, user: UserId) -> Option<&Entry> {
        self.users.get(&user)
    }

    /// Everybody who is online, by id.
    pub(super) fn users(&self) -> Vec<UserId> {
        self.users.keys().copied().collect()
    }

    /// The sockets of those who have some, by id, after `after`.
    pub fn open(
        &self,
        after: Option<UserId>,
    ) -> impl Iterator<Item = (UserId, &BTreeSet<ConnectionId>)> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.users.range((start, Bound::Unbounded)).filter_map(|(user, entry)| match entry {
            Entry::Open(connections) => Some((*user, connections)),
            Entry::Left(_) => None,
        })
    }

    /// When the next grace is over.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.left.first().map(|(since, _)| *since + self.grace)
    }

    /// Those whose grace is over, and since when they have been away. They count as online until they are
    /// forgotten.
    pub(super) fn over(&self) -> Vec<(UserId, Instant)> {
        let over = self.left.iter().take_while(|(since, _)| since.elapsed() >= self.grace);
        over.map(|(since, user)| (*user, *since)).collect()
    }

    /// Removes a user who has been away since then.
    pub(super) fn forget(&mut self, user: UserId, since: Instant) {
        if self.left.remove(&(since, user)) {
            self.users.remove(&user);
        }
    }
}

impl Drop for LocalSockets {
    fn drop(&mut self) {
        let open: usize = self.open(None).map(|(_, connections)| connections.len()).sum();
        #[expect(clippy::cast_precision_loss, reason = "nobody has 2^53 sockets")]
        metrics::gauge!("imserver_presence_sockets").decrement(open as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(5);
    const SECOND: Duration = Duration::from_secs(1);

    fn user(id: usize) -> UserId {
        UserId::new(i64::try_from(id).unwrap()).unwrap()
    }

    fn connection() -> ConnectionId {
        ConnectionId::new(1).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_user_is_forgotten_only_if_nobody_came_back_since_then() {
        let mut sockets = LocalSockets::new(GRACE);
        let begun = Instant::now();
        for id in 1..=3 {
            sockets.join(user(id), connection());
            sockets.leave(user(id), connection());
            tokio::time::advance(SECOND).await;
        }
        tokio::time::advance(SECOND * 3).await;
        assert_eq!(sockets.over(), [(user(1), begun), (user(2), begun + SECOND)]);
        sockets.forget(user(1), begun);
        assert_eq!(sockets.get(user(1)), None);
        sockets.join(user(2), connection());
        sockets.forget(user(2), begun + SECOND);
        assert!(matches!(sockets.get(user(2)), Some(Entry::Open(_))));

        sockets.leave(user(2), connection());
        tokio::time::advance(SECOND).await;
        assert_eq!(sockets.over(), [(user(3), begun + SECOND * 2)], "the grace begins anew");
        tokio::time::advance(GRACE).await;
        for (user, since) in sockets.over() {
            sockets.forget(user, since);
        }
        assert!(sockets.users.is_empty() && sockets.left.is_empty(), "nobody takes memory");
    }

    #[tokio::test(start_paused = true)]
    async fn graces_are_bounded() {
        let mut sockets = LocalSockets::new(GRACE);
        for id in 1..=MAX_LEFT + 2 {
            sockets.join(user(id), connection());
            sockets.leave(user(id), connection());
        }
        assert_eq!((sockets.users.len(), sockets.left.len()), (MAX_LEFT, MAX_LEFT));
    }
}
