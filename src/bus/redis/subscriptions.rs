//! Which users a replica is to be subscribed to, and how far each subscription is. No I/O.
//!
//! The subscriber asks for one command at a time and says when the server has confirmed it, so that
//! a SUBSCRIBE and an UNSUBSCRIBE of one user never cross.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
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
pub(super) struct SubscriptionSet {
    linger: Duration,
    users: HashMap<UserId, Subscription>,
    /// The users in [`Stage::Pending`], in the order in which they are subscribed to.
    pending: VecDeque<UserId>,
    /// The users in [`Stage::Lingering`], by when they are unsubscribed.
    lingering: BTreeSet<(Instant, UserId)>,
    /// The users from before the connection was lost whose subscription does not stand yet.
    restoring: HashSet<UserId>,
}

#[derive(Debug)]
struct Subscription {
    stage: Stage,
    wanted: bool,
    /// Those who are told when it stands.
    waiters: Vec<oneshot::Sender<()>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Not on the server. One that is not wanted any more is forgotten when its turn comes.
    Pending,
    /// The SUBSCRIBE is on its way.
    Subscribing,
    Standing,
    /// Stands, is not wanted, and ends then.
    Lingering(Instant),
    /// The UNSUBSCRIBE is on its way.
    Unsubscribing,
}

impl SubscriptionSet {
    /// Nobody. Subscriptions stand on for `linger` after they have ended.
    pub(super) fn new(linger: Duration) -> Self {
        Self {
            linger,
            users: HashMap::new(),
            pending: VecDeque::new(),
            lingering: BTreeSet::new(),
            restoring: HashSet::new(),
        }
    }

    /// Wants a user. Returns what to wait for, or `None` if the subscription stands.
    pub(super) fn subscribe(&mut self, user: UserId) -> Option<oneshot::Receiver<()>> {
        let subscription = self.users.entry(user).or_insert_with(|| {
            self.pending.push_back(user);
            Subscription { stage: Stage::Pending, wanted: true, waiters: Vec::new() }
        });
        subscription.wanted = true;
        match subscription.stage {
            Stage::Standing => return None,
            Stage::Lingering(until) => {
                self.lingering.remove(&(until, user));
                subscription.stage = Stage::Standing;
                return None;
            }
            Stage::Pending | Stage::Subscribing | Stage::Unsubscribing => {}
        }
        // Those who gave up do not pile up while the link is down.
        subscription.waiters.retain(|waiter| !waiter.is_closed());
        let (waiter, stands) = oneshot::channel();
        subscription.waiters.push(waiter);
        Some(stands)
    }

    /// Wants a user no more.
    pub(super) fn unsubscribe(&mut self, user: UserId, now: Instant) {
        let Some(subscription) = self.users.get_mut(&user) else { return };
        subscription.wanted = false;
        match subscription.stage {
            Stage::Pending => {
                subscription.waiters.clear();
                self.restoring.remove(&user);
            }
            Stage::Standing => {
                let until = now + self.linger;
                subscription.stage = Stage::Lingering(until);
                self.lingering.insert((until, user));
            }
            Stage::Subscribing | Stage::Lingering(_) | Stage::Unsubscribing => {}
        }
    }

    /// Whether what is published for a user concerns this replica now.
    pub(super) fn hears(&self, user: UserId) -> bool {
        self.users.get(&user).is_some_and(|subscription| subscription.wanted)
    }

    /// The next command. Until [`SubscriptionSet::confirmed`] says that it is done, there must be no
    /// other.
    pub(super) fn next(&mut self, now: Instant) -> Option<Command> {
        let mut users = Vec::new();
        while users.len() < BATCH
            && let Some(user) = self.pending.pop_front()
        {
            if self.hears(user) {
                self.set(user, Stage::Subscribing);
                users.push(user);
            } else {
                self.users.remove(&user);
            }
        }
        if !users.is_empty() {
            return Some(Command::Subscribe(users));
        }
        while users.len() < BATCH
            && let Some(&(until, user)) = self.lingering.first()
            && until <= now
        {
            self.lingering.pop_first();
            self.set(user, Stage::Unsubscribing);
            users.push(user);
        }
        (!users.is_empty()).then_some(Command::Unsubscribe(users))
    }

    /// When there is a next command, if nothing happens before.
    pub(super) fn next_at(&self) -> Option<Instant> {
        self.lingering.first().map(|(until, _)| *until)
    }

    /// The server has carried this command out.
    pub(super) fn confirmed(&mut self, command: &Command, now: Instant) {
        match command {
            Command::Subscribe(users) => users.iter().for_each(|user| self.subscribed(*user, now)),
            Command::Unsubscribe(users) => users.iter().for_each(|user| self.unsubscribed(*user)),
        }
    }

    fn subscribed(&mut self, user: UserId, now: Instant) {
        self.restoring.remove(&user);
        let Some(subscription) = self.users.get_mut(&user) else { return };
        subscription.stage = Stage::Standing;
        for waiter in subscription.waiters.drain(..) {
            // One that gave up does not mind.
            let _ = waiter.send(());
        }
        if !subscription.wanted {
            self.unsubscribe(user, now);
        }
    }

    fn unsubscribed(&mut self, user: UserId) {
        if self.hears(user) {
            self.enqueue(user);
        } else {
            self.users.remove(&user);
        }
    }

    /// The connection is lost: nothing stands on the server.
    pub(super) fn start_over(&mut self) {
        self.lingering.clear();
        self.pending.clear();
        self.users.retain(|_, subscription| subscription.wanted);
        self.restoring = self.users.keys().copied().collect();
        for user in self.restoring.clone() {
            self.enqueue(user);
        }
    }

    /// Whether all that was wanted when the connection was lost stands, unless it has ended since.
    pub(super) fn is_restored(&self) -> bool {
        self.restoring.is_empty()
    }

    fn enqueue(&mut self, user: UserId) {
        self.set(user, Stage::Pending);
        self.pending.push_back(user);
    }

    fn set(&mut self, user: UserId, stage: Stage) {
        if let Some(subscription) = self.users.get_mut(&user) {
            subscription.stage = stage;
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
        let mut subscriptions = SubscriptionSet::new(LINGER);
        let mut stands = subscriptions.subscribe(user(1)).unwrap();
        let command = subscriptions.next(now).unwrap();
        assert_eq!(command, Command::Subscribe(vec![user(1)]));
        assert!(stands.try_recv().is_err(), "the server has not confirmed it");
        subscriptions.confirmed(&command, now);
        assert_eq!(stands.try_recv(), Ok(()));

        subscriptions.unsubscribe(user(1), now);
        assert!(!subscriptions.hears(user(1)));
        assert_eq!((subscriptions.next(now), subscriptions.next_at()), (None, Some(now + LINGER)));
        assert!(subscriptions.subscribe(user(1)).is_none(), "it stands still");
        assert!(subscriptions.hears(user(1)));
        assert_eq!((subscriptions.next(now + LINGER * 2), subscriptions.next_at()), (None, None));
    }

    #[test]
    fn a_subscription_while_its_end_is_on_its_way_is_made_again() {
        let now = Instant::now();
        let mut subscriptions = SubscriptionSet::new(LINGER);
        let _ = subscriptions.subscribe(user(1));
        let subscribe = subscriptions.next(now).unwrap();
        subscriptions.confirmed(&subscribe, now);
        subscriptions.unsubscribe(user(1), now);
        let unsubscribe = subscriptions.next(now + LINGER).unwrap();
        assert_eq!(unsubscribe, Command::Unsubscribe(vec![user(1)]));
        let mut stands = subscriptions.subscribe(user(1)).unwrap();
        subscriptions.confirmed(&unsubscribe, now);
        assert!(stands.try_recv().is_err());
        assert_eq!(subscriptions.next(now), Some(subscribe.clone()));
        subscriptions.confirmed(&subscribe, now);
        assert_eq!(stands.try_recv(), Ok(()));
    }

    #[test]
    fn a_new_connection_is_restored_when_all_from_before_stand() {
        let now = Instant::now();
        let mut subscriptions = SubscriptionSet::new(LINGER);
        for id in 1..=150 {
            let _ = subscriptions.subscribe(user(id));
        }
        while let Some(command) = subscriptions.next(now) {
            subscriptions.confirmed(&command, now);
        }
        subscriptions.unsubscribe(user(1), now);
        subscriptions.start_over();
        assert!(!subscriptions.hears(user(1)) && subscriptions.next_at().is_none());
        let _ = subscriptions.subscribe(user(1_000));

        let first = subscriptions.next(now).unwrap();
        subscriptions.confirmed(&first, now);
        assert!(!subscriptions.is_restored());
        let second = subscriptions.next(now).unwrap();
        assert!(matches!(&second, Command::Subscribe(users) if users.len() == 50));
        assert!(!subscriptions.is_restored(), "the last of them is on its way");
        subscriptions.confirmed(&second, now);
        assert!(subscriptions.is_restored());
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
            let mut subscriptions = SubscriptionSet::new(LINGER);
            let mut server: HashSet<UserId> = HashSet::new();
            let mut model: HashSet<UserId> = HashSet::new();
            let mut flying: Option<Command> = None;
            let land = |subscriptions: &mut SubscriptionSet, server: &mut HashSet<UserId>, command: Command, now| {
                match &command {
                    Command::Subscribe(users) => server.extend(users),
                    Command::Unsubscribe(users) => server.retain(|user| !users.contains(user)),
                }
                subscriptions.confirmed(&command, now);
            };
            for step in steps {
                match step {
                    Step::Subscribe(id) => {
                        model.insert(user(id));
                        if subscriptions.subscribe(user(id)).is_none() {
                            prop_assert!(server.contains(&user(id)));
                        }
                    }
                    Step::Unsubscribe(id) => {
                        model.remove(&user(id));
                        subscriptions.unsubscribe(user(id), now);
                    }
                    Step::Begin => flying = flying.or_else(|| subscriptions.next(now)),
                    Step::Confirm => {
                        if let Some(command) = flying.take() {
                            land(&mut subscriptions, &mut server, command, now);
                        }
                    }
                    Step::Wait(secs) => now += Duration::from_secs(secs),
                    Step::Cut => {
                        (flying, server) = (None, HashSet::new());
                        subscriptions.start_over();
                    }
                }
                for id in 1..6 {
                    prop_assert_eq!(subscriptions.hears(user(id)), model.contains(&user(id)));
                }
            }
            now += LINGER * 2;
            while let Some(command) = flying.take().or_else(|| subscriptions.next(now)) {
                land(&mut subscriptions, &mut server, command, now);
                now += LINGER * 2;
            }
            prop_assert_eq!(server, model);
            prop_assert!(subscriptions.is_restored() && subscriptions.next_at().is_none());
        }
    }
}
