//! The limiter that replicas share, and what becomes of it when Redis does not answer.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use imserver::{
    limits::{Answer, Limiter, Rate, redis::RedisLimiter},
    redis::Instances,
};
use url::Url;
use uuid::Uuid;

use crate::{
    contracts::limiter::{passes, slow, user},
    harness::{DEADLINE, Redis, eventually},
};

fn patient(urls: &[Url]) -> Arc<dyn Limiter> {
    let namespace = format!("limiter:{}", Uuid::new_v4());
    Arc::new(RedisLimiter::with_wait(&Instances::new(urls).unwrap(), &namespace, DEADLINE))
}

async fn take(limiter: &Arc<dyn Limiter>, id: i64) -> Answer {
    limiter.take(user(id), slow()).await
}

#[tokio::test]
async fn without_redis_a_replica_decides_alone_and_nobody_gets_a_fresh_burst() {
    let mut redis = Redis::start();
    let limiter = patient(&[redis.url()]);
    assert_eq!(passes(&limiter, user(1), slow(), 9).await, 5);
    assert_eq!(passes(&limiter, user(2), slow(), 3).await, 3);
    redis.kill();
    eventually("the link is known to be down", || async { !take(&limiter, 3).await.is_shared })
        .await;
    let alone = async |id, questions: usize| {
        let mut passed = 0;
        for _ in 0..questions {
            let answer = take(&limiter, id).await;
            assert!(!answer.is_shared);
            passed += usize::from(answer.wait.is_none());
        }
        passed
    };
    assert_eq!(alone(1, 9).await, 0);
    assert_eq!(alone(2, 9).await, 2);
    assert_eq!(alone(4, 9).await, 5);
    // It comes back empty, and is told.
    redis.start_again();
    eventually("the link stands", || async { limiter.look(user(1), slow()).await.is_shared }).await;
    for id in [1, 2, 4] {
        assert_eq!(passes(&limiter, user(id), slow(), 9).await, 0, "{id}");
    }
}

#[tokio::test]
async fn a_redis_that_does_not_answer_is_not_waited_for() {
    let redis = Redis::start();
    let instances = Instances::new(&[redis.url()]).unwrap();
    let limiter: Arc<dyn Limiter> = Arc::new(RedisLimiter::new(&instances, "frozen"));
    eventually("the link stands", || async { take(&limiter, 1).await.is_shared }).await;
    redis.freeze();
    let begun = Instant::now();
    let crowd = join_all((1..=20_000).map(|id| take(&limiter, id))).await;
    assert!(crowd.iter().all(|answer| !answer.is_shared));
    // One wait, not one for each: what is not answered in 300 ms is decided here.
    assert!(begun.elapsed() < DEADLINE, "{:?}", begun.elapsed());
    // Nor does anybody wait while the link is known to be down.
    let begun = Instant::now();
    for id in 1..=100 {
        assert!(!take(&limiter, id).await.is_shared);
    }
    assert!(begun.elapsed() < DEADLINE, "{:?}", begun.elapsed());
    redis.thaw();
    eventually("the link stands again", || async { take(&limiter, 1).await.is_shared }).await;
}

#[tokio::test]
async fn a_service_that_starts_without_redis_finds_it_later() {
    let mut redis = Redis::start();
    redis.kill();
    let limiter = patient(&[redis.url()]);
    assert!(!take(&limiter, 1).await.is_shared);
    redis.start_again();
    eventually("the link stands", || async { take(&limiter, 2).await.is_shared }).await;
}

#[tokio::test]
async fn several_instances_share_the_users() {
    let instances = [Redis::start(), Redis::start()];
    let urls = [instances[0].url(), instances[1].url()];
    let limiter = patient(&urls);
    let answers = join_all((1..=1_000).map(|id| take(&limiter, id))).await;
    assert!(answers.iter().all(|answer| answer.wait.is_none() && answer.is_shared));
    // A test write is there for a moment.
    eventually("a key for each", async || instances.iter().map(keys).sum::<u64>() == 1_000).await;
    let keys = instances.each_ref().map(keys);
    assert!(keys.iter().all(|count| (400..=600).contains(count)), "{keys:?}");
}

#[tokio::test]
async fn what_has_recovered_leaves_nothing_behind() {
    let redis = Redis::start();
    let limiter = patient(&[redis.url()]);
    let quick = Rate::new(Duration::from_millis(50), 5);
    for id in 1..=20 {
        limiter.take(user(id), quick).await;
    }
    eventually("all keys are gone", || async { keys(&redis) == 0 }).await;
}

fn keys(redis: &Redis) -> u64 {
    let answer = redis.ask("DBSIZE").unwrap();
    answer.lines().next().unwrap().trim_start_matches(':').parse().unwrap()
}

#[tokio::test]
async fn a_redis_that_is_full_counts_for_nobody() {
    let redis = Redis::start();
    let limiter = patient(&[redis.url()]);
    assert_eq!(passes(&limiter, user(1), slow(), 3).await, 3);
    assert!(redis.ask("CONFIG SET maxmemory 1").unwrap().starts_with("+OK"));
    eventually("a replica decides alone", async || !take(&limiter, 9).await.is_shared).await;
    // For as long as it is full, whatever is asked: the link is not up for every other question.
    for id in 10..400 {
        assert!(!limiter.look(user(id), slow()).await.is_shared, "{id}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(redis.ask("CONFIG SET maxmemory 0").unwrap().starts_with("+OK"));
    eventually("they count together", async || take(&limiter, 9).await.is_shared).await;
    assert_eq!(passes(&limiter, user(1), slow(), 9).await, 2);
}

/// As a client that goes away while its login is being counted.
#[tokio::test]
async fn what_is_not_waited_for_counts_all_the_same() {
    let redis = Redis::start();
    let limiter = patient(&[redis.url()]);
    for _ in 0..3 {
        let mut taking = Box::pin(take(&limiter, 1));
        assert!(futures_util::poll!(taking.as_mut()).is_pending());
    }
    eventually("all are counted", async || keys(&redis) == 1).await;
    assert_eq!(passes(&limiter, user(1), slow(), 9).await, 2);
}
