//! Presence within one process: the register of a replica that runs alone.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque, btree_map},
    ops::Bound,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, mpsc},
    task::AbortHandle,
    time::Instant,
};

use super::{
    Connection, OFFLINE_GRACE, OnlineUser, Presence, PresenceError, Transition,
    outbox::{Outbox, TRANSITION_QUEUE},
};
use crate::{
    clock::{Clock, Timestamp},
    domain::{ConnectionId, UserId},
};

/// The register of one process. One task, which ends with the register, announces the transitions.
#[derive(Debug)]
pub struct LocalPresence {
    shared: Arc<Shared>,
    announcer: AbortHandle,
}

impl LocalPresence {
    /// A register that announces offline after [`OFFLINE_GRACE`], and where it announces. Needs a
    /// tokio runtime.
    pub fn new(clock: Clock) -> (Self, mpsc::Receiver<Transition>) {
        Self::with_grace(clock, OFFLINE_GRACE)
    }

    /// The same with another grace.
    pub fn with_grace(clock: Clock, grace: Duration) -> (Self, mpsc::Receiver<Transition>) {
        let (sender, receiver) = mpsc::channel(TRANSITION_QUEUE);
        let shared = Arc::new(Shared {
            clock,
            grace,
            register: Mutex::default(),
            announcer_has_work: Notify::new(),
        });
        let announcer = tokio::spawn(announce(Arc::clone(&shared), sender)).abort_handle();
        (Self { shared, announcer }, receiver)
    }
}

impl Drop for LocalPresence {
    fn drop(&mut self) {
        self.announcer.abort();
    }
}

#[async_trait]
impl Presence for LocalPresence {
    async fn join(&self, user: UserId, connection: ConnectionId) -> Result<(), PresenceError> {
        let now = self.shared.clock.now();
        if self.shared.register.lock().join(user, connection, now) {
            self.shared.announcer_has_work.notify_one();
        }
        Ok(())
    }

    async fn leave(&self, user: UserId, connection: ConnectionId) -> Result<(), PresenceError> {
        let left_at = self.shared.clock.now();
        let deadline = Instant::now() + self.shared.grace;
        if self.shared.register.lock().leave(user, connection, Leaving { left_at, deadline }) {
            self.shared.announcer_has_work.notify_one();
        }
        Ok(())
    }

    async fn online(&self, users: &[UserId]) -> Result<Vec<UserId>, PresenceError> {
        let register = self.shared.register.lock();
        Ok(users.iter().copied().filter(|user| register.users.contains_key(user)).collect())
    }

    async fn connections(
        &self,
        users: &[UserId],
    ) -> Result<HashMap<UserId, Vec<Connection>>, PresenceError> {
        let register = self.shared.register.lock();
        let here = users.iter().filter_map(|user| match register.users.get(user)? {
            Entry::Here(ids) => {
                Some((*user, ids.iter().map(|&id| Connection { id, is_sure: true }).collect()))
            }
            Entry::Leaving(_) => None,
        });
        Ok(here.collect())
    }

    async fn list(
        &self,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<OnlineUser>, PresenceError> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let register = self.shared.register.lock();
        let with_sockets = register
            .users
            .range((start, Bound::Unbounded))
            .map(|(&user, entry)| OnlineUser { user, connections: entry.count() })
            .filter(|online| online.connections > 0);
        Ok(with_sockets.take(usize::try_from(limit).unwrap_or(usize::MAX)).collect())
    }
}

#[derive(Debug)]
struct Shared {
    clock: Clock,
    grace: Duration,
    register: Mutex<Register>,
    announcer_has_work: Notify,
}

/// Who is online, and what has not been announced yet.
#[derive(Debug, Default)]
struct Register {
    /// Everybody who is online, those within the grace included, and nobody else.
    users: BTreeMap<UserId, Entry>,
    /// When to look whether somebody has gone, in order, since the grace is the same for all. One
    /// who came back meanwhile stays in it until then.
    due: VecDeque<(Instant, UserId)>,
    outbox: Outbox,
    /// The version of the last transition of anybody. Being above all of them is being above one's
    /// own, and costs no memory for those who are gone.
    version: i64,
}

#[derive(Debug)]
enum Entry {
    /// Has these sockets: at least one.
    Here(BTreeSet<ConnectionId>),
    /// Has none any more, and may be back before anybody notices.
    Leaving(Leaving),
}

#[derive(Clone, Copy, Debug)]
struct Leaving {
    left_at: Timestamp,
    deadline: Instant,
}

impl Entry {
    fn count(&self) -> u32 {
        match self {
            Self::Here(connections) => u32::try_from(connections.len()).unwrap_or(u32::MAX),
            Self::Leaving(_) => 0,
        }
    }
}

impl Register {
    /// Returns whether there is something to announce.
    fn join(&mut self, user: UserId, connection: ConnectionId, now: Timestamp) -> bool {
        let sockets = metrics::gauge!("imserver_presence_sockets");
        match self.users.entry(user) {
            btree_map::Entry::Occupied(mut known) => {
                match known.get_mut() {
                    Entry::Here(connections) => {
                        if connections.insert(connection) {
                            sockets.increment(1);
                        }
                    }
                    left @ Entry::Leaving(_) => {
                        *left = Entry::Here(BTreeSet::from([connection]));
                        sockets.increment(1);
                    }
                }
                false
            }
            btree_map::Entry::Vacant(new) => {
                new.insert(Entry::Here(BTreeSet::from([connection])));
                sockets.increment(1);
                self.record(user, true, now, now);
                true
            }
        }
    }

    /// Returns whether the user has begun to leave.
    fn leave(&mut self, user: UserId, connection: ConnectionId, leaving: Leaving) -> bool {
        let Some(entry) = self.users.get_mut(&user) else { return false };
        let Entry::Here(connections) = entry else { return false };
        if connections.remove(&connection) {
            metrics::gauge!("imserver_presence_sockets").decrement(1);
        }
        if !connections.is_empty() {
            return false;
        }
        *entry = Entry::Leaving(leaving);
        self.due.push_back((leaving.deadline, user));
        true
    }

    /// Takes those offline whose grace is over.
    fn expire(&mut self, now: Timestamp, instant: Instant) {
        while let Some(&(due, user)) = self.due.front()
            && due <= instant
        {
            self.due.pop_front();
            // Of somebody who came back and left again, a later deadline counts.
            if let Some(&Entry::Leaving(Leaving { left_at, deadline })) = self.users.get(&user)
                && deadline <= instant
            {
                self.users.remove(&user);
                self.record(user, false, left_at, now);
            }
        }
    }

    fn record(&mut self, user: UserId, online: bool, at: Timestamp, now: Timestamp) {
        self.version = (self.version + 1).max(now.as_millis().saturating_mul(1_000));
        self.outbox.put(Transition { user, online, at, version: self.version, is_ours: true });
    }
}

/// Watches the graces and fills the receiver, for as long as the register lives.
async fn announce(shared: Arc<Shared>, transitions: mpsc::Sender<Transition>) {
    loop {
        let (next_deadline, waiting) = {
            let register = shared.register.lock();
            (register.due.front().map(|(deadline, _)| *deadline), !register.outbox.is_empty())
        };
        let grace_ends = async {
            match next_deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            room = transitions.reserve(), if waiting => {
                let mut register = shared.register.lock();
                match room {
                    Ok(room) => if let Some(transition) = register.outbox.take() {
                        room.send(transition);
                    },
                    Err(_) => register.outbox.close(),
                }
            }
            () = grace_ends => shared.register.lock().expire(shared.clock.now(), Instant::now()),
            () = shared.announcer_has_work.notified() => {}
        }
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
    async fn nobody_who_is_gone_takes_memory() {
        let (presence, mut transitions) = LocalPresence::with_grace(Clock::system(), GRACE);
        for id in 1..=100 {
            presence.join(user(id), connection()).await.unwrap();
            presence.leave(user(id), connection()).await.unwrap();
        }
        let mut gone = 0;
        while gone < 100 {
            gone += usize::from(!transitions.recv().await.unwrap().online);
        }
        let register = presence.shared.register.lock();
        assert!(register.users.is_empty());
        assert!(register.due.is_empty());
        assert!(register.outbox.is_empty());
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
        assert!(presence.shared.register.lock().outbox.is_empty());
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
        let mut register = Register::default();
        let later = Timestamp::from_millis(2_000);
        for (id, now) in [(1, later), (2, later), (3, Timestamp::from_millis(1_000))] {
            register.join(user(id), connection(), now);
        }
        let versions: Vec<_> =
            std::iter::from_fn(|| register.outbox.take()).map(|t| t.version).collect();
        assert_eq!(versions, [2_000_000, 2_000_001, 2_000_002]);
    }
}
