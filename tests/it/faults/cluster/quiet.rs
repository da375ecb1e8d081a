//! Nothing happens: the measure for all that does.

use std::time::{Duration, Instant};

use super::{Cluster, Load, Size};
use crate::harness::{Redis, postgres};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_nothing_happens_all_is_well() {
    let (database, redis) = (postgres::database().await, Redis::start());
    let cluster = Cluster::start(&database, redis.url().as_str()).await;
    let mut load = Load::start(&cluster, Size::default(), "quiet").await;
    let begun = Instant::now();
    load.run_for(Duration::from_secs(5)).await;
    let within = begun..Instant::now();
    load.times().acknowledged(within.clone()).note(&load.figures, "acknowledged");
    load.times().shown(within).note(&load.figures, "shown after that");
    let verdict = load.settle().await;
    assert!(verdict.chats > 100, "{verdict}");
}
