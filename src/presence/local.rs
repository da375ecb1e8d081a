//! Presence within one process: the register of a replica that runs alone.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, mpsc},
    time::sleep_until,
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    Connection, OFFLINE_GRACE, OnlineUser, Presence, PresenceError, Transition,
    outbox::{Outbox, TRANSITION_QUEUE},
    sockets::{Entry, LocalSockets},
};
use crate::{
    clock::{Clock, Timestamp},
    domain::{ConnectionId, UserId},
};

/// The register of one process. One task, which ends with the register, announces the transitions.
#[derive(Debug)]
pub struct LocalPresence {
    shared: Arc<Shared>,
    _announcing: AbortOnDropHandle<()>,
}

impl LocalPresence {
    /// A register that announces offline after [`OFFLINE_GRACE`], and where it announces. Needs a
    /// tokio runtime.
    pub fn new(clock: Clock) -> (Self, mpsc::Receiver<Transition>) {
        Self::with_grace(clock, OFFLINE_GRACE)
    }

    /// The same with another grace.
    pub fn with_grace(clock: Clock, grace: Duration) -> (Self, mpsc::Receiver<Transition>) {
        let (observer, receiver) = mpsc::channel(TRANSITION_QUEUE);
        let shared = Arc::new(Shared {
            clock,
            register: Mutex::new(Register { sockets: LocalSockets::new(grace), version: 0 }),
            outbox: Outbox::default(),
            has_left: Notify::new(),
        });
        let announcing = Arc::clone(&shared);
        let task = async move {
            tokio::join!(announcing.outbox.forward(observer), announcing.end_graces());
        };
        let announcing = AbortOnDropHandle::new(tokio::spawn(task));
        (Self { shared, _announcing: announcing }, receiver)
    }
}

#[async_trait]
impl Presence for LocalPresence {
    async fn join(&self, user: UserId, connection: ConnectionId) -> Result<(), PresenceError> {
        let now = self.shared.clock.now();
        let mut register = self.shared.register.lock();
        let is_new = register.sockets.get(user).is_none();
        register.sockets.join(user, connection);
        if is_new {
            self.shared.outbox.put(register.transition(user, true, now, now));
        }
        Ok(())
    }

    async fn leave(&self, user: UserId, connection: ConnectionId) -> Result<(), PresenceError> {
        self.shared.register.lock().sockets.leave(user, connection);
        self.shared.has_left.notify_one();
        Ok(())
    }

    async fn set_background(
        &self,
        user: UserId,
        connection: ConnectionId,
        is_background: bool,
    ) -> Result<(), PresenceError> {
        self.shared.register.lock().sockets.set_background(user, connection, is_background);
        Ok(())
    }

    async fn online(&self, users: &[UserId]) -> Result<Vec<UserId>, PresenceError> {
        let register = self.shared.register.lock();
        let online = users.iter().filter(|user| register.sockets.get(**user).is_some());
        Ok(online.copied().collect())
    }

    async fn connections(
        &self,
        users: &[UserId],
    ) -> Result<HashMap<UserId, Vec<Connection>>, PresenceError> {
        let register = self.shared.register.lock();
        let connection = |&id| Connection {
            id,
            is_sure: true,
            is_background: register.sockets.is_background(id),
        };
        let open = users.iter().filter_map(|user| match register.sockets.get(*user)? {
            Entry::Open(ids) => Some((*user, ids.iter().map(connection).collect())),
            Entry::Left(_) => None,
        });
        Ok(open.collect())
    }

    async fn list(
        &self,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<OnlineUser>, PresenceError> {
        let register = self.shared.register.lock();
        let users = register.sockets.open(after).map(|(user, connections)| OnlineUser {
            user,
            connections: u32::try_from(connections.len()).unwrap_or(u32::MAX),
        });
        Ok(users.take(usize::try_from(limit).unwrap_or(usize::MAX)).collect())
    }
}

#[derive(Debug)]
struct Shared {
    clock: Clock,
    register: Mutex<Register>,
    /// Filled under the lock of the register, so that versions rise in it.
    outbox: Outbox,
    has_left: Notify,
}

impl Shared {
    /// Announces those whose grace is over, for ever.
    async fn end_graces(&self) {
        loop {
            let next_due = self.register.lock().sockets.next_due();
            match next_due {
                Some(due) => sleep_until(due).await,
                None => self.has_left.notified().await,
            }
            let mut register = self.register.lock();
            for (user, since) in register.sockets.over() {
                register.sockets.forget(user, since);
                let now = self.clock.now();
                let left_at = now.before(since.elapsed());
                self.outbox.put(register.transition(user, false, left_at, now));
            }
        }
    }
}

/// Who is online, and how often that has changed.
#[derive(Debug)]
struct Register {
    sockets: LocalSockets,
    /// The version of the last transition of anybody. Being above all of them is being above one's
    /// own, and costs no memory for those who are gone.
    version: i64,
}

impl Register {
    fn transition(
        &mut self,
        user: UserId,
        online: bool,
        at: Timestamp,
        now: Timestamp,
    ) -> Transition {
        self.version = (self.version + 1).max(now.as_millis().saturating_mul(1_000));
        Transition { user, online, at, version: self.version, is_ours: true }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const GRACE: Duration = Duration::from_secs(5);

    fn user(id: usize) -> UserId {
        UserId::new(i64::try_from(id).unwrap()).unwrap()
    }

    fn connection() -> ConnectionId {
        ConnectionId::new(1).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_observer_gets_the_final_state_of_everybody() {
        let (presence, mut transitions) = LocalPresence::with_grace(Clock::system(), GRACE);
        let everybody = TRANSITION_QUEUE + 500;
        for id in 1..=everybody {
            presence.join(user(id), connection()).await.unwrap();
        }
        tokio::time::sleep(GRACE).await;
        for id in 1..=everybody {
            presence.leave(user(id), connection()).await.unwrap();
        }
        tokio::time::sleep(GRACE * 2).await;
        assert_eq!(transitions.len(), TRANSITION_QUEUE);

        let mut states = HashMap::new();
        let mut heard = 0;
        while states.len() < everybody || states.values().any(|online| *online) {
            let transition = transitions.recv().await.unwrap();
            states.insert(transition.user, transition.online);
            heard += 1;
        }
        assert_eq!(heard, TRANSITION_QUEUE + everybody, "those without room were not merged");
    }

    #[tokio::test(start_paused = true)]
    async fn without_an_observer_nothing_is_kept_for_one() {
        let (presence, transitions) = LocalPresence::with_grace(Clock::system(), GRACE);
        drop(transitions);
        for id in 1..=3 {
            presence.join(user(id), connection()).await.unwrap();
            tokio::time::sleep(GRACE).await;
        }
        assert!(presence.shared.outbox.is_empty());
        assert_eq!(presence.online(&[user(1), user(9)]).await.unwrap(), [user(1)]);
    }

    #[tokio::test]
    async fn the_task_ends_with_the_register() {
        let (presence, mut transitions) = LocalPresence::new(Clock::system());
        drop(presence);
        let ended = tokio::time::timeout(Duration::from_secs(10), transitions.recv()).await;
        assert_eq!(ended, Ok(None));
    }

    #[test]
    fn versions_rise_while_the_clock_stands_or_goes_back() {
        let mut register = Register { sockets: LocalSockets::new(GRACE), version: 0 };
        let later = Timestamp::from_millis(2_000);
        let times = [(1, later), (2, later), (3, Timestamp::from_millis(1_000))];
        let versions = times.map(|(id, now)| register.transition(user(id), true, now, now).version);
        assert_eq!(versions, [2_000_000, 2_000_001, 2_000_002]);
    }
}
