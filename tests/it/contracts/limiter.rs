//! What every `limits::Limiter` is held to.

use std::{net::IpAddr, sync::Arc, time::Duration};

use futures_util::future::join_all;
use imserver::{
    domain::UserId,
    limits::{Key, Limit, Limiter, Rate, Subject, local::LocalLimiter, redis::RedisLimiter},
    redis::Instances,
};
use uuid::Uuid;

use crate::harness::{DEADLINE, Redis};

/// Some replicas that count together.
trait LimiterFactory {
    fn start() -> Self;

    /// One more replica.
    fn connect(&self) -> Arc<dyn Limiter>;
}

struct LocalFactory(Arc<LocalLimiter>);

impl LimiterFactory for LocalFactory {
    fn start() -> Self {
        Self(Arc::default())
    }

    fn connect(&self) -> Arc<dyn Limiter> {
        Arc::clone(&self.0) as _
    }
}

/// On the Redis that all tests share, in a namespace of its own. Its answers may take their time.
struct RedisFactory(String);

impl LimiterFactory for RedisFactory {
    fn start() -> Self {
        Self(format!("contract:{}", Uuid::new_v4()))
    }

    fn connect(&self) -> Arc<dyn Limiter> {
        let instances = Instances::new(&[Redis::shared().url()]).unwrap();
        Arc::new(RedisLimiter::with_wait(&instances, &self.0, DEADLINE))
    }
}

macro_rules! limiter_contract {
    ($name:ident, $factory:ty, $($case:ident),+ $(,)?) => {
        mod $name {
            $(
                #[tokio::test]
                async fn $case() {
                    super::$case(<$factory as super::LimiterFactory>::start()).await;
                }
            )+
        }
    };
    ($name:ident, $factory:ty) => {
        limiter_contract!(
            $name,
            $factory,
            a_burst_passes_and_no_more,
            after_the_wait_one_more_passes,
            looking_uses_nothing,
            keys_are_counted_apart,
            replicas_count_together,
            a_burst_comes_back_no_larger_than_it_was,
            a_crowd_is_answered,
        );
    };
}

limiter_contract!(local, super::LocalFactory);
limiter_contract!(redis, super::RedisFactory);

/// Five at once, and one more every five minutes: no stall of a machine is that long.
pub fn slow() -> Rate {
    Rate::new(Duration::from_mins(5), 5)
}

pub fn user(id: i64) -> Key {
    Key { limit: Limit::Send, subject: Subject::User(UserId::new(id).unwrap()) }
}

/// How many of so many questions, asked one after another, pass.
pub async fn passes(limiter: &Arc<dyn Limiter>, key: Key, rate: Rate, questions: usize) -> usize {
    let mut passed = 0;
    for _ in 0..questions {
        let answer = limiter.take(key, rate).await;
        assert!(answer.is_shared);
        passed += usize::from(answer.wait.is_none());
    }
    passed
}

async fn a_burst_passes_and_no_more(factory: impl LimiterFactory) {
    let limiter = factory.connect();
    assert_eq!(passes(&limiter, user(1), slow(), 20).await, 5);
    let wait = limiter.take(user(1), slow()).await.wait.unwrap();
    assert!(wait <= Duration::from_mins(5) && wait > Duration::from_mins(4), "{wait:?}");
}

async fn after_the_wait_one_more_passes(factory: impl LimiterFactory) {
    let limiter = factory.connect();
    let rate = Rate::new(Duration::from_secs(1), 2);
    for _ in 0..3 {
        let wait = loop {
            if let Some(wait) = limiter.take(user(1), rate).await.wait {
                break wait;
            }
        };
        assert!(wait <= Duration::from_secs(1), "{wait:?}");
        tokio::time::sleep(wait).await;
        assert_eq!(limiter.take(user(1), rate).await.wait, None);
    }
}

async fn looking_uses_nothing(factory: impl LimiterFactory) {
    let limiter = factory.connect();
    for _ in 0..20 {
        assert_eq!(limiter.look(user(1), slow()).await.wait, None);
    }
    assert_eq!(passes(&limiter, user(1), slow(), 6).await, 5);
    assert!(limiter.look(user(1), slow()).await.wait.is_some());
}

async fn keys_are_counted_apart(factory: impl LimiterFactory) {
    let limiter = factory.connect();
    let address = |text: &str| Subject::Network(text.parse::<IpAddr>().unwrap().into());
    let network = |text: &str| Key { limit: Limit::FailedLogin, subject: address(text) };
    for key in [
        user(1),
        user(2),
        Key { limit: Limit::History, ..user(1) },
        network("0.0.0.1"),
        network("192.0.2.1"),
        network("2001:db8::1"),
        network("2001:db8:0:1::1"),
        Key { limit: Limit::FailedHandshake, ..network("192.0.2.1") },
    ] {
        assert_eq!(passes(&limiter, key, slow(), 6).await, 5, "{key:?}");
    }
    // The neighbour in the same household.
    assert_eq!(passes(&limiter, network("2001:db8::2"), slow(), 6).await, 0);
}

async fn replicas_count_together(factory: impl LimiterFactory) {
    let replicas = [factory.connect(), factory.connect(), factory.connect()];
    let mut passed = 0;
    for _ in 0..5 {
        for replica in &replicas {
            passed += passes(replica, user(1), slow(), 1).await;
        }
    }
    assert_eq!(passed, 5);
}

async fn a_burst_comes_back_no_larger_than_it_was(factory: impl LimiterFactory) {
    let limiter = factory.connect();
    let rate = Rate::new(Duration::from_millis(20), 5);
    passes(&limiter, user(1), rate, 20).await;
    // Long enough for ten.
    tokio::time::sleep(Duration::from_millis(200)).await;
    // Counted by a rate under which nothing comes back meanwhile.
    assert_eq!(passes(&limiter, user(1), slow(), 20).await, 5);
}

async fn a_crowd_is_answered(factory: impl LimiterFactory) {
    let limiter = factory.connect();
    let ask = |id| limiter.take(user(id), slow());
    let answers = join_all((1..=5_000).map(ask)).await;
    assert!(answers.iter().all(|answer| answer.wait.is_none() && answer.is_shared));
}
