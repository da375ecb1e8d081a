//! Replicas die and freeze under load.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;

use super::{Cluster, Load, Size};
use crate::harness::{Redis, Server, eventually, postgres};

/// Most clients of the load are at this replica.
pub(super) fn busiest(load: &Load) -> usize {
    let statuses = load.statuses();
    let clients =
        |replica| statuses.iter().filter(|status| status.replica == Some(replica)).count();
    (0..3).max_by_key(|replica| clients(*replica)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_replicas_lose_nothing() {
    let (database, redis) = (postgres::database().await, Redis::start());
    let mut cluster = Cluster::start(&database, redis.url().as_str()).await;
    let mut load = Load::start(&cluster, Size::default(), "replicas_killed").await;
    let begun = Instant::now();
    let mut slowest = Duration::ZERO;
    for round in 1..=5 {
        load.run_for(Duration::from_secs(1)).await;
        let victim = busiest(&load);
        let killed = Instant::now();
        cluster.replicas[victim].kill();
        let all = load.flows(killed).await;
        load.figures.time(format!("kill {round}: all send and are shown after"), all);
        slowest = slowest.max(all);
        cluster.start_again(victim);
    }
    let within = begun..Instant::now();
    load.settle().await;
    load.times().shown(within).note(&load.figures, "shown after the acknowledgement");
    // Clients come back at random moments, of a backoff that grows to 3 s.
    assert!(slowest < Duration::from_secs(30), "{slowest:?}");
}

/// Whether a session that nobody else will end is within a transaction that has locked something.
async fn holds_locks(watcher: &mut sqlx::PgConnection) -> bool {
    sqlx::query_scalar(
        "SELECT count(*) > 0 FROM pg_stat_activity
         WHERE datname = current_database() AND state = 'idle in transaction'
             AND backend_xid IS NOT NULL AND clock_timestamp() - state_change > interval '200 ms'",
    )
    .fetch_one(watcher)
    .await
    .unwrap()
}

/// Has a replica see the same chat again and again: after repeats its batches are transactions of
/// several statements for a while, where a usual one is a single statement.
async fn repeats(server: &Server) -> JoinSet<()> {
    let person = server.person("Echo").await;
    let chat = json!({"clientMsgId": "again", "targetUserId": person.id, "content": "again"});
    let mut repeating = JoinSet::new();
    repeating.spawn(async move {
        loop {
            let request = person.request(Method::POST, "/v1/chats").body(chat.to_string());
            // Refused or too late: it is said again.
            let _ = request.send().await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    repeating
}

/// Freezes a replica at a moment when it holds locks: tries until it does. Returns when it was.
async fn freeze_in_transaction(
    server: &Server,
    load: &mut Load,
    watcher: &mut sqlx::PgConnection,
) -> Instant {
    let _repeating = repeats(server).await;
    for attempt in 1..=100_u64 {
        let frozen = Instant::now();
        server.freeze();
        load.run_for(Duration::from_millis(300)).await;
        if holds_locks(watcher).await {
            load.figures.count("attempts until it froze in a transaction", attempt);
            return frozen;
        }
        server.thaw();
        load.run_for(Duration::from_millis(rand::random_range(200..400))).await;
    }
    panic!("a busy replica was never in a transaction");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_replica_keeps_nobody_waiting() {
    const FREEZE: Duration = Duration::from_secs(30);
    let (database, redis) = (postgres::database().await, Redis::start());
    let cluster = Cluster::start(&database, redis.url().as_str()).await;
    let mut load = Load::start(&cluster, Size::default(), "replica_frozen").await;
    let mut watcher = postgres::connect(&database).await;

    let victim = busiest(&load);
    let server = &cluster.replicas[victim];
    let frozen = freeze_in_transaction(server, &mut load, &mut watcher).await;
    let statuses = load.statuses();
    let others: Vec<_> = (0..statuses.len())
        .filter(|place| statuses[*place].replica.is_some_and(|replica| replica != victim))
        .collect();
    assert!(!others.is_empty() && others.len() < statuses.len(), "{statuses:?}");
    let at_others = load.sends(&others, frozen).await;
    let all = load.flows(frozen).await;
    load.run_for(FREEZE.saturating_sub(frozen.elapsed())).await;
    server.thaw();
    let thawed = Instant::now();
    load.run_for(Duration::from_secs(2)).await;
    eventually("the replica serves again", async || server.get("/readyz").await.status() == 200)
        .await;
    load.settle().await;

    load.figures.time("sends at the others go on after", at_others).time("all flows after", all);
    load.times().acknowledged(frozen..thawed).note(&load.figures, "acknowledged meanwhile");
    load.times().shown(frozen..thawed).note(&load.figures, "shown after that");
    // The database ends the frozen transaction after 2 s; a send that waited for it may be refused
    // then and repeated a second later. The rest is for a busy machine, and half of the freeze.
    assert!(at_others < FREEZE / 2, "{at_others:?}");
}
