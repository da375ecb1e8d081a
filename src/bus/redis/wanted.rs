//! Which users a replica is to be subscribed to, and how far each subscription is; no I/O.
//!
//! The subscriber asks for one command at a time and says when the server has confirmed it, so that
//! a SUBSCRIBE and an UNSUBSCRIBE of one user never cross.

use std::{
    collections::{BTreeSet, HashMap, hash_map},
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

use crate::domain::UserId;

/// The most users of one command.
const BATCH: usize = 100;

/// What is to be sent to the server next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Subscribe(Vec<UserId>),
    Unsubscribe(Vec<UserId>),
}

/// All subscriptions of one connection. Holds as many users as are subscribed to, and those who
/// were until a moment ago.
#[derive(Debug)]
pub(super) struct Wanted {
    linger: Duration,
    users: HashMap<UserId, Entry>,
    /// Who waits for a SUBSCRIBE, by the place in the line.
    pending: BTreeSet<(u64, UserId)>,
    /// Who is not wanted any more, by the time of the UNSUBSCRIBE.
    leaving: BTreeSet<(Instant, UserId)>,
    next_place: u64,
    /// The places from before the link went down are below this one.
    restoring_below: u64,
    /// Whether one of those is on its way.
    restoring: bool,
}

#[derive(Debug)]
struct Entry {
    stage: Stage,
    wanted: bool,
    /// Those who are told when it stands.
    waiters: Vec<oneshot::Sender<()>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Not on the server. Always wanted.
    Pending(u64),
    /// On its way.
    Subscribing,
    Standing,
    /// Stands, and is not wanted. Ends then.
    Lingering(Instant),
    /// Its end is on its way.
    Unsubscribing,
}

impl Wanted {
    /// Nobody. Subscriptions stand on for `linger` after they have ended.
    pub(super) fn new(linger: Duration) -> Self {
        Self {
            linger,
            users: HashMap::new(),
            pending: BTreeSet::new(),
            leaving: BTreeSet::new(),
            next_place: 0,
            restoring_below: 0,
            restoring: false,
        }
    }

    /// Wants a user. Returns what to wait for, or `None` if the subscription stands.
    pub(super) fn subscribe(&mut self, user: UserId) -> Option<oneshot::Receiver<()>> {
        let entry = match self.users.entry(user) {
            hash_map::Entry::Occupied(entry) => entry.into_mut(),
            hash_map::Entry::Vacant(entry) => {
                let stage = Stage::Pending(self.next_place);
                self.pending.insert((self.next_place, user));
                self.next_place += 1;
                entry.insert(Entry { stage, wanted: true, waiters: Vec::new() })
            }
        };
        entry.wanted = true;
        match entry.stage {
            Stage::Standing => return None,
            Stage::Lingering(until) => {
                self.leaving.remove(&(until, user));
                entry.stage = Stage::Standing;
                return None;
            }
            Stage::Pending(_) | Stage::Subscribing | Stage::Unsubscribing => {}
        }
        // Those who gave up do not pile up while the link is down.
        entry.waiters.retain(|waiter| !waiter.is_closed());
        let (waiter, stands) = oneshot::channel();
        entry.waiters.push(waiter);
        Some(stands)
    }

    /// Wants a user no more.
    pub(super) fn unsubscribe(&mut self, user: UserId, now: Instant) {
        let Some(entry) = self.users.get_mut(&user) else { return };
        entry.wanted = false;
        match entry.stage {
            Stage::Pending(place) => {
                self.pending.remove(&(place, user));
                self.users.remove(&user);
            }
            Stage::Standing => {
                entry.stage = Stage::Lingering(now + self.linger);
                self.leaving.insert((now + self.linger, user));
            }
            Stage::Subscribing | Stage::Lingering(_) | Stage::Unsubscribing => {}
        }
    }

    /// Whether what is published for a user concerns this replica now.
    pub(super) fn hears(&self, user: UserId) -> bool {
        self.users.get(&user).is_some_and(|entry| entry.wanted)
    }

    /// The next command. Until [`Wanted::confirmed`] says that it is done, there must be no other.
    pub(super) fn next(&mut self, now: Instant) -> Option<Command> {
        let mut users = Vec::new();
        while users.len() < BATCH
            && let Some((place, user)) = self.pending.pop_first()
        {
            self.restoring |= place < self.restoring_below;
            self.set(user, Stage::Subscribing);
            users.push(user);
        }
        if !users.is_empty() {
            return Some(Command::Subscribe(users));
        }
        while users.len() < BATCH
            && let Some(&(until, user)) = self.leaving.first()
            && until <= now
        {
            self.leaving.pop_first();
            self.set(user, Stage::Unsubscribing);
            users.push(user);
        }
        (!users.is_empty()).then_some(Command::Unsubscribe(users))
    }

    /// When there is a next command, if nothing happens before.
    pub(super) fn next_at(&self) -> Option<Instant> {
        self.leaving.first().map(|(until, _)| *until)
    }

    /// The server has carried this command out.
    pub(super) fn confirmed(&mut self, command: &Command, now: Instant) {
        match command {
            Command::Subscribe(users) => {
                self.restoring = false;
                for user in users {
                    self.subscribed(*user, now);
                }
            }
            Command::Unsubscribe(users) => users.iter().for_each(|user| self.unsubscribed(*user)),
        }
    }

    fn subscribed(&mut self, user: UserId, now: Instant) {
        let Some(entry) = self.users.get_mut(&user) else { return };
        entry.stage = Stage::Standing;
        for waiter in entry.waiters.drain(..) {
            // One that gave up does not mind.
            let _ = waiter.send(());
        }
        if !entry.wanted {
            self.unsubscribe(user, now);
        }
    }

    fn unsubscribed(&mut self, user: UserId) {
        match self.users.get(&user) {
            Some(entry) if entry.wanted => self.line_up(user),
            Some(_) => drop(self.users.remove(&user)),
            None => {}
        }
    }

    /// The connection is lost: nothing stands on the server.
    pub(super) fn start_over(&mut self) {
        self.leaving.clear();
        self.users.retain(|_, entry| entry.wanted);
        let gone = self.users.iter().filter(|(_, e)| !matches!(e.stage, Stage::Pending(_)));
        for user in gone.map(|(user, _)| *user).collect::<Vec<_>>() {
            self.line_up(user);
        }
        self.restoring = false;
        self.restoring_below = self.next_place;
    }

    /// Whether all that was wanted when the connection was lost stands, unless it has ended since.
    pub(super) fn is_restored(&self) -> bool {
        let waits = self.pending.first().is_some_and(|(place, _)| *place < self.restoring_below);
        !waits && !self.restoring
    }

    fn line_up(&mut self, user: UserId) {
        self.set(user, Stage::Pending(self.next_place));
        self.pending.insert((self.next_place, user));
        self.next_place += 1;
    }

    fn set(&mut self, user: UserId, stage: Stage) {
        if let Some(entry) = self.users.get_mut(&user) {
            entry.stage = stage;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    const LINGER: Duration = Duration::from_secs(10);

    fn user(id: i64) -> UserId {
        UserId::new(id).unwrap()
    }

    #[test]
    fn a_subscription_within_the_linger_needs_no_command() {
        let now = Instant::now();
        let mut wanted = Wanted::new(LINGER);
        let mut stands = wanted.subscribe(user(1)).unwrap();
        let command = wanted.next(now).unwrap();
        assert_eq!(command, Command::Subscribe(vec![user(1)]));
        assert!(stands.try_recv().is_err(), "the server has not confirmed it");
        wanted.confirmed(&command, now);
        assert_eq!(stands.try_recv(), Ok(()));

        wanted.unsubscribe(user(1), now);
        assert!(!wanted.hears(user(1)));
        assert_eq!((wanted.next(now), wanted.next_at()), (None, Some(now + LINGER)));
        assert!(wanted.subscribe(user(1)).is_none(), "it stands still");
        assert!(wanted.hears(user(1)));
        assert_eq!((wanted.next(now + LINGER * 2), wanted.next_at()), (None, None));
    }

    #[test]
    fn a_subscription_while_its_end_is_on_its_way_is_made_again() {
        let now = Instant::now();
        let mut wanted = Wanted::new(LINGER);
        let _ = wanted.subscribe(user(1));
        let subscribe = wanted.next(now).unwrap();
        wanted.confirmed(&subscribe, now);
        wanted.unsubscribe(user(1), now);
        let unsubscribe = wanted.next(now + LINGER).unwrap();
        assert_eq!(unsubscribe, Command::Unsubscribe(vec![user(1)]));
        let mut stands = wanted.subscribe(user(1)).unwrap();
        wanted.confirmed(&unsubscribe, now);
        assert!(stands.try_recv().is_err());
        assert_eq!(wanted.next(now), Some(subscribe.clone()));
        wanted.confirmed(&subscribe, now);
        assert_eq!(stands.try_recv(), Ok(()));
    }

    #[test]
    fn a_new_connection_is_restored_when_all_from_before_stand() {
        let now = Instant::now();
        let mut wanted = Wanted::new(LINGER);
        for id in 1..=150 {
            let _ = wanted.subscribe(user(id));
        }
        while let Some(command) = wanted.next(now) {
            wanted.confirmed(&command, now);
        }
        wanted.unsubscribe(user(1), now);
        wanted.start_over();
        assert!(!wanted.hears(user(1)) && wanted.next_at().is_none());
        let _ = wanted.subscribe(user(1_000));

        let first = wanted.next(now).unwrap();
        wanted.confirmed(&first, now);
        assert!(!wanted.is_restored());
        let second = wanted.next(now).unwrap();
        assert!(matches!(&second, Command::Subscribe(users) if users.len() == 50));
        assert!(!wanted.is_restored(), "the last of them is on its way");
        wanted.confirmed(&second, now);
        assert!(wanted.is_restored());
    }

    #[derive(Clone, Debug)]
    enum Step {
        Subscribe(i64),
        Unsubscribe(i64),
        Begin,
        Confirm,
        Wait(u64),
        Cut,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (1..6_i64).prop_map(Step::Subscribe),
            4 => (1..6_i64).prop_map(Step::Unsubscribe),
            4 => Just(Step::Begin),
            4 => Just(Step::Confirm),
            2 => (0..12_u64).prop_map(Step::Wait),
            1 => Just(Step::Cut),
        ];
        proptest::collection::vec(step, 1..200)
    }

    proptest! {
        /// Whatever comes in whatever order: in the end the server has those who are wanted, and
        /// nobody else; and whoever was told that it stands was right.
        #[test]
        fn nobody_ends_deaf(steps in steps()) {
            let mut now = Instant::now();
            let mut wanted = Wanted::new(LINGER);
            let mut server: HashSet<UserId> = HashSet::new();
            let mut model: HashSet<UserId> = HashSet::new();
            let mut flying: Option<Command> = None;
            let land = |wanted: &mut Wanted, server: &mut HashSet<UserId>, command: Command, now| {
                match &command {
                    Command::Subscribe(users) => server.extend(users),
                    Command::Unsubscribe(users) => server.retain(|user| !users.contains(user)),
                }
                wanted.confirmed(&command, now);
            };
            for step in steps {
                match step {
                    Step::Subscribe(id) => {
                        model.insert(user(id));
                        if wanted.subscribe(user(id)).is_none() {
                            prop_assert!(server.contains(&user(id)));
                        }
                    }
                    Step::Unsubscribe(id) => {
                        model.remove(&user(id));
                        wanted.unsubscribe(user(id), now);
                    }
                    Step::Begin => flying = flying.or_else(|| wanted.next(now)),
                    Step::Confirm => {
                        if let Some(command) = flying.take() {
                            land(&mut wanted, &mut server, command, now);
                        }
                    }
                    Step::Wait(secs) => now += Duration::from_secs(secs),
                    Step::Cut => {
                        (flying, server) = (None, HashSet::new());
                        wanted.start_over();
                    }
                }
                for id in 1..6 {
                    prop_assert_eq!(wanted.hears(user(id)), model.contains(&user(id)));
                }
            }
            now += LINGER * 2;
            while let Some(command) = flying.take().or_else(|| wanted.next(now)) {
                land(&mut wanted, &mut server, command, now);
                now += LINGER * 2;
            }
            prop_assert_eq!(server, model);
            prop_assert!(wanted.is_restored() && wanted.next_at().is_none());
        }
    }
}
