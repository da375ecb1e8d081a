//! Nothing happens: the measure for all that does.

use std::time::{Duration, Instant};

use super::{Cluster, Load, Size};
use crate::harness::{Redis, postgres};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_nothing_happens_all_is_well() {
    let (database, redis) = (postgres::database().await, Redis::start());
    let cluster = Cluster::start(&database, redis.url().as_str()).await;
    let mut load = Load::start(&cluster, Size::default()).await;
    let begun = Instant::now();
    load.run_for(Duration::from_secs(5)).await;
    let within = begun..Instant::now();
    println!("acknowledged {}", load.times().acknowledged(within.clone()));
    println!("shown after that {}", load.times().shown(within));
    let verdict = load.settle().await;
    assert!(verdict.chats > 100, "{verdict}");
}
