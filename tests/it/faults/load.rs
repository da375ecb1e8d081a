//! The load test itself, for half a minute: a clean ledger at three replicas, and at a stack with faults. What the figures
//! are is for `./dev loadtest`.

use std::sync::Arc;

use loadtest::{
    engine::{self, Setup},
    faults::Schedule,
    measure::Watch,
    outcome::Outcome,
    people,
    plan::{Plan, Scenario},
};
use phone::{reading, target::Target, wire::Imserver};

use crate::{
    faults::cluster::{Cluster, replica},
    harness::{Redis, postgres, stack::Stack},
};

/// Puts this load on three replicas, and asserts that it is clean and each chat was delivered.
async fn load(plan: Plan) {
    let totals = clean(plan).await.totals;
    assert_eq!(totals.delivered, totals.due, "{totals:?}");
}

/// Puts this load on three replicas, and asserts that nothing was lost, doubled or brought to others.
async fn clean(plan: Plan) -> Outcome {
    let (database, redis) = (postgres::database().await, Redis::start());
    let media = tempfile::tempdir().unwrap();
    let url = format!("file://{}", media.path().display());
    let start = || replica(&database, redis.url().as_str()).set("media.url", &url);
    let cluster = Cluster::of([start(), start(), start()]).await;
    let targets =
        cluster.replicas.iter().map(|replica| replica.url("/").parse().unwrap()).collect();
    clean_at(Plan { targets, ..plan }, None).await
}

/// As [`clean`], at servers that run already.
async fn clean_at(plan: Plan, faults: Option<(Schedule, loadtest::stack::Stack)>) -> Outcome {
    // Of a machine that may stand still for long.
    let plan = Plan { settle_secs: 120.0, ..plan };
    let targets: Vec<_> = plan.targets.iter().map(|url| Target::find(url).unwrap()).collect();
    let people =
        people::log_in(&reading::http(), &targets, people::NAME, plan.users, people::Way::Demo)
            .await
            .unwrap();
    let (wire, progress) = (Arc::new(Imserver::default()), Box::new(|_: &_| {}));
    let setup = Setup {
        plan,
        server: "imserver".to_owned(),
        wire,
        people,
        watch: Watch::of_run(Vec::new()),
        faults,
        progress,
    };
    let outcome = engine::run(setup).await.unwrap();
    let totals = outcome.totals;
    assert!(outcome.ledger.is_clean(), "{}", outcome.ledger);
    assert!(totals.due > 100, "{totals:?}");
    assert_eq!(totals.acknowledged, totals.due, "{totals:?}");
    outcome
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_that_change_lose_nothing() {
    let scenario = Scenario::Group;
    let plan = Plan { scenario, users: 24, group_size: 12, rate: 30.0, ..Plan::default() };
    let outcome = clean(Plan { phones: 2, changes: 1.0, ..plan }).await;
    assert!(outcome.totals.delivered > 10 * outcome.totals.due, "{:?}", outcome.totals);
    assert!(
        outcome.totals.requests > 100,
        "joins, leaves, recalls, deletions: {:?}",
        outcome.totals
    );
    assert!(outcome.latencies["lastDelivery"].p50 >= outcome.latencies["delivery"].p50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_are_read_at_the_other_phone() {
    let scenario = Scenario::Media;
    let plan = Plan { scenario, users: 10, rate: 15.0, picture_size: 6_000, ..Plan::default() };
    let Outcome { totals, latencies, .. } = clean(plan).await;
    assert_eq!((latencies["upload"].count, latencies["picture"].count), (totals.due, totals.due));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_schedule_breaks_beneath_a_load_is_whole_again() {
    let stack = tokio::task::spawn_blocking(|| Stack::up(2)).await.unwrap();
    let names = ["imserver-1", "imserver-2", "redis", "postgres"];
    let before = names.map(|name| stack.pid(name));
    let schedule = "freeze imserver-1 at 1s for 2s, kill redis at 4s for 500ms, restart postgres at 6s, \
                    kill imserver-2 at 9s for 500ms";
    let opened = loadtest::stack::Stack::open(stack.folder().to_owned()).unwrap();
    let targets = opened.replicas();
    let plan = Plan { targets, users: 20, rate: 40.0, duration_secs: 13.0, ..Plan::default() };
    let outcome = clean_at(plan, Some((schedule.parse().unwrap(), opened))).await;
    let made: Vec<_> = outcome.faults.iter().map(|fault| &*fault.what).collect();
    let expected = ["freeze imserver-1", "kill redis", "terminate postgres", "kill imserver-2"];
    assert_eq!(made, expected);
    // What is due at the frozen one waits for it.
    assert!(outcome.faults[0].sending_after_secs >= Some(1.0), "{:?}", outcome.faults);
    let after = names.map(|name| stack.pid(name));
    let is_new: Vec<_> = before.iter().zip(&after).map(|(before, after)| before != after).collect();
    assert_eq!(is_new, [false, true, true, true]);
}
