//! Groups under load while something fails: people write, come and go, recall and delete, and each chat reaches
//! just those who are members when it is committed, and nobody gets words that are recalled.

use std::time::{Duration, Instant};

use tokio::task::block_in_place;

use super::{Cluster, Load, Size, redis_faults::reasons, replica_faults::busiest};
use crate::harness::{
    Redis, eventually,
    postgres::{self, Stop},
};

const SIZE: Size = Size { users: 14, pairs: 4, listeners: 4, rate: 100, groups: 2 };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_replica_loses_nothing_of_groups() {
    let (database, redis) = (postgres::database().await, Redis::start());
    let mut cluster = Cluster::start(&database, redis.url().as_str()).await;
    let mut load = Load::start(&cluster, SIZE, "groups_replica_killed").await;
    for round in 1..=3 {
        load.changes().await;
        let (victim, killed) = (busiest(&load), Instant::now());
        cluster.replicas[victim].kill();
        let all = load.flows(killed).await;
        load.figures.time(format!("kill {round}: all send and are shown after"), all);
        load.changes().await;
        cluster.start_again(victim);
    }
    load.settle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_go_on_without_redis() {
    let (database, mut redis) = (postgres::database().await, Redis::start());
    let cluster = Cluster::start(&database, redis.url().as_str()).await;
    let mut load = Load::start(&cluster, SIZE, "groups_redis_gone").await;
    load.changes().await;
    redis.kill();
    load.flows(Instant::now()).await;
    load.changes().await;
    redis.start_again();
    for server in &cluster.replicas {
        eventually("the bus is back", async || reasons(server).await.is_empty()).await;
    }
    load.flows(Instant::now()).await;
    load.changes().await;
    load.settle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_is_killed_takes_nothing_of_groups_along() {
    let (mut postgres, redis) = block_in_place(|| (postgres::Cluster::private(), Redis::start()));
    let database = postgres.database().await;
    let cluster = Cluster::start(&database, redis.url().as_str()).await;
    let mut load = Load::start(&cluster, SIZE, "groups_postgres_killed").await;
    load.changes().await;
    block_in_place(|| postgres.stop(Stop::Kill));
    // Long enough for sends and changes to fail.
    let unready = async || cluster.replicas[0].get("/readyz").await.status() == 503;
    eventually("the replica notices", unready).await;
    block_in_place(|| postgres.start_again());
    let back = Instant::now();
    let flows = load.flows(back).await;
    load.figures.time("all flows after Postgres is back", flows);
    assert!(flows < Duration::from_secs(20), "{flows:?}");
    load.changes().await;
    load.settle().await;
}
