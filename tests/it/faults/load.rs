//! The load test itself, for half a minute: three replicas, a clean ledger. No time is asserted; what the
//! figures are is for `./dev loadtest`.

use std::sync::Arc;

use loadtest::{
    engine::{self, Setup},
    measure::Watch,
    people,
    plan::{Plan, Scenario},
};
use phone::{reading, target::Target, wire::Imserver};

use crate::{
    faults::cluster::Cluster,
    harness::{Redis, postgres},
};

/// Puts this load on three replicas, and asserts that nothing was lost, doubled or brought to others.
async fn load(plan: Plan) {
    let (database, redis) = (postgres::database().await, Redis::start());
    let cluster = Cluster::start(&database, redis.url().as_str()).await;
    let plan = Plan {
        targets: cluster.replicas.iter().map(|replica| replica.url("/").parse().unwrap()).collect(),
        // Of a machine that may stand still for long.
        settle_secs: 120.0,
        ..plan
    };
    let targets: Vec<_> = plan.targets.iter().map(|url| Target::find(url).unwrap()).collect();
    let people = people::log_in(&reading::http(), &targets, plan.users).await.unwrap();
    let (wire, progress) = (Arc::new(Imserver::default()), Box::new(|_: &_| {}));
    let setup = Setup {
        plan,
        server: "imserver".to_owned(),
        wire,
        people,
        watch: Watch::of_run(Vec::new()),
        faults: None,
        progress,
    };
    let outcome = engine::run(setup).await.unwrap();
    let totals = outcome.totals;
    assert!(outcome.ledger.is_clean(), "{}", outcome.ledger);
    assert!(totals.due > 100, "{totals:?}");
    assert_eq!((totals.acknowledged, totals.delivered), (totals.due, totals.due), "{totals:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_minute_of_chat_is_clean() {
    load(Plan { users: 60, rate: 100.0, duration_secs: 30.0, ..Plan::default() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn phones_that_come_and_go_miss_nothing() {
    let scenario = Scenario::Churn;
    let plan = Plan { scenario, users: 40, rate: 60.0, think_secs: 2.0, ..Plan::default() };
    load(plan).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn storms_of_reconnects_lose_nothing() {
    let scenario = Scenario::Storm;
    let plan = Plan { scenario, users: 100, rate: 40.0, every_secs: 3.0, ..Plan::default() };
    load(plan).await;
}
