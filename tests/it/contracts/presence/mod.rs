//! What every `presence` implementation is held to.

mod cases;
mod factories;
mod model;

use std::{sync::Arc, time::Duration};

use imserver::{
    clock::Timestamp,
    domain::{ConnectionId, UserId},
    presence::{OnlineUser, Presence, Transition},
};
use rand::Rng as _;
use tokio::sync::mpsc;

use crate::harness::DEADLINE;

pub use factories::{RedisClock, StillTime};

/// How long after the last leave the tested registers announce offline.
const GRACE: Duration = Duration::from_millis(200);

/// The step of time in the model test. Its multiples stay clear of the grace.
const STEP: Duration = Duration::from_millis(30);

/// An empty register of its own.
trait PresenceFactory: Sized {
    /// How many random histories are tried.
    const HISTORIES: u32;

    async fn start(grace: Duration) -> Self;

    fn presence(&self) -> Arc<dyn Presence>;

    fn transitions(&mut self) -> &mut mpsc::Receiver<Transition>;

    /// The register's time.
    fn now(&self) -> Timestamp;

    /// Lets time pass, for the register's clock as for its timers.
    async fn pass(&self, time: Duration);
}

macro_rules! presence_contract {
    ($name:ident, $factory:ty, $($case:ident),+ $(,)?) => {
        mod $name {
            $(
                #[tokio::test]
                async fn $case() {
                    crate::contracts::presence::cases::$case(
                        crate::contracts::presence::Register::<$factory>::start().await,
                    )
                    .await;
                }
            )+

            #[test]
            fn random_histories_agree_with_the_model() {
                crate::contracts::presence::model::random_histories_agree::<$factory>();
            }
        }
    };
    ($name:ident, $factory:ty) => {
        presence_contract!(
            $name,
            $factory,
            coming_and_going_are_announced_once_and_in_time,
            joining_and_leaving_twice_is_no_error,
            a_user_stays_for_as_long_as_one_socket_does,
            coming_back_within_the_grace_is_not_seen,
            the_grace_begins_anew_with_each_leave,
            lists_are_paged_by_id_and_show_sockets_only,
            the_sockets_of_users_are_known_by_id,
            a_socket_that_nobody_looks_at_is_marked,
            versions_rise_and_follow_the_time,
        );
    };
}

presence_contract!(local, crate::contracts::presence::factories::LocalFactory);
presence_contract!(redis, crate::contracts::presence::factories::RedisFactory);

/// A register under test, and the words in which the cases speak.
struct Register<F> {
    factory: F,
    presence: Arc<dyn Presence>,
}

impl<F: PresenceFactory> Register<F> {
    async fn start() -> Self {
        let factory = F::start(GRACE).await;
        let presence = factory.presence();
        Self { factory, presence }
    }

    /// Joins, and returns when: not before the first time and not after the second.
    async fn join(&self, who: i64, socket: i64) -> (Timestamp, Timestamp) {
        let before = self.factory.now();
        self.presence.join(user(who), connection(socket)).await.unwrap();
        (before, self.factory.now())
    }

    /// Leaves, and returns when: not before the first time and not after the second.
    async fn leave(&self, who: i64, socket: i64) -> (Timestamp, Timestamp) {
        let before = self.factory.now();
        self.presence.leave(user(who), connection(socket)).await.unwrap();
        (before, self.factory.now())
    }

    async fn pass(&self, time: Duration) {
        self.factory.pass(time).await;
    }

    async fn hear(&mut self) -> Transition {
        tokio::time::timeout(DEADLINE, self.factory.transitions().recv())
            .await
            .expect("nothing was announced in time")
            .expect("the register is alive")
    }

    /// Hears that a user came or went at that time.
    async fn expect(&mut self, who: i64, online: bool, at: (Timestamp, Timestamp)) -> Transition {
        let heard = self.hear().await;
        assert_eq!((heard.user, heard.online), (user(who), online));
        assert!(heard.is_ours, "nobody else is there who could have announced it");
        assert!(at.0 <= heard.at && heard.at <= at.1, "{} is not within {at:?}", heard.at);
        heard
    }

    /// Asserts that all that was announced has been heard.
    async fn expect_silence(&mut self) {
        // A stranger's coming is announced after whatever was announced before it.
        let stranger = rand::rng().random_range(1 << 40..1 << 50);
        let at = self.join(stranger, 1).await;
        self.expect(stranger, true, at).await;
    }

    async fn is_online(&self, who: i64) -> bool {
        let online = self.presence.online(&[user(who), user(999)]).await.unwrap();
        assert!(!online.contains(&user(999)));
        online == [user(who)]
    }

    async fn list(&self, after: Option<i64>, limit: u32) -> Vec<(i64, u32)> {
        let users = self.presence.list(after.map(user), limit).await.unwrap();
        users.iter().map(|OnlineUser { user, connections }| (user.get(), *connections)).collect()
    }
}

fn user(id: i64) -> UserId {
    UserId::new(id).unwrap()
}

fn connection(id: i64) -> ConnectionId {
    ConnectionId::new(id).unwrap()
}
