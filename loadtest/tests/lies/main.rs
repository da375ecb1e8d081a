//! A load on a server that lies: whatever it does wrong, the run says so.

#![allow(clippy::unwrap_used, reason = "a test panics where something is wrong")]

mod liar;

use std::{fs, sync::Arc, time::Duration};

use loadtest::{
    engine::{self, Setup},
    faults::Schedule,
    measure::Watch,
    outcome::Outcome,
    people,
    plan::{Plan, Scenario},
    stack::Stack,
};
use phone::{ledger::Class, reading, target::Target, wire::Imserver};

use tokio::time::timeout;

use liar::{Liar, Lie, REPLAY_LIMIT};

/// A load of a second on such a server.
async fn load(lie: Lie) -> anyhow::Result<Outcome> {
    load_for(lie, 1.0, None).await
}

async fn load_for(
    lie: Lie,
    duration_secs: f64,
    faults: Option<(Schedule, Stack)>,
) -> anyhow::Result<Outcome> {
    let server = Liar::start(lie).await;
    let plan = Plan {
        scenario: Scenario::Chat,
        targets: vec![server.url.clone()],
        users: 10,
        rate: 100.0,
        duration_secs,
        ramp_secs: 0.0,
        warm_up_secs: 0.1,
        // What a liar keeps back is not waited for.
        settle_secs: if lie == Lie::None { 30.0 } else { 1.0 },
        ..Plan::default()
    };
    let targets = [Target::find(&server.url).unwrap()];
    let people =
        people::log_in(&reading::http(), &targets, people::NAME, plan.users, people::Way::Demo)
            .await
            .unwrap();
    let wire = Arc::new(Imserver { replay_limit: REPLAY_LIMIT });
    let setup = Setup {
        plan,
        server: "liar".to_owned(),
        wire,
        people,
        watch: Watch::of_run(Vec::new()),
        faults,
        progress: Box::new(|_| {}),
    };
    engine::run(setup).await
}

async fn assert_caught(lie: Lie, class: Class) {
    let outcome = load(lie).await.unwrap();
    assert!(outcome.ledger.count(class) > 0, "{lie:?}: {}", outcome.ledger);
    assert!(!outcome.is_good());
    let case = &outcome.ledger.problems[&class].cases[0];
    assert!(!case.is_empty());
}

#[tokio::test]
async fn an_honest_server_is_clean() {
    let outcome = load(Lie::None).await.unwrap();
    assert!(outcome.ledger.is_clean(), "{}", outcome.ledger);
    let totals = outcome.totals;
    assert!(totals.due > 50, "{totals:?}");
    assert_eq!(
        (totals.sent, totals.acknowledged, totals.delivered),
        (totals.due, totals.due, totals.due)
    );
    assert_eq!(outcome.latencies["delivery"].count, totals.due);
    assert_eq!(outcome.seconds.iter().map(|second| second.due).sum::<u64>(), outcome.ledger.chats);
}

#[tokio::test]
async fn more_than_a_server_replays_is_read_as_it_comes() {
    // Some twenty events a second for each of ten people.
    let outcome = load_for(Lie::None, 9.0, None).await.unwrap();
    assert!(outcome.ledger.is_clean(), "{}", outcome.ledger);
    let least = 10 / 2 * u64::try_from(REPLAY_LIMIT).unwrap();
    assert!(outcome.totals.due > least, "{:?}", outcome.totals);
}

#[tokio::test]
async fn an_event_that_is_kept_back_is_a_gap_and_lost() {
    assert_caught(Lie::KeepsBack, Class::Gap).await;
    assert_caught(Lie::KeepsBack, Class::Lost).await;
}

#[tokio::test]
async fn an_event_that_is_shown_twice_is_doubled() {
    assert_caught(Lie::ShowsTwice, Class::Doubled).await;
}

#[tokio::test]
async fn events_that_change_places_are_reordered() {
    assert_caught(Lie::Swaps, Class::Reordered).await;
}

#[tokio::test]
async fn what_is_shown_to_others_is_foreign() {
    assert_caught(Lie::Misdelivers, Class::Foreign).await;
}

#[tokio::test]
async fn what_is_changed_is_foreign() {
    assert_caught(Lie::Falsifies, Class::Foreign).await;
}

#[tokio::test]
async fn what_is_acknowledged_and_forgotten_is_unstored() {
    assert_caught(Lie::Forgets, Class::Unstored).await;
}

#[tokio::test]
async fn a_send_that_is_refused_for_good_ends_the_run() {
    let error = load(Lie::Refuses).await.unwrap_err();
    assert!(error.to_string().contains("invalid_content"), "{error:#}");
}

#[tokio::test]
async fn a_fault_that_cannot_be_made_ends_the_run_at_once() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("pids")).unwrap();
    // A process that does not run.
    fs::write(folder.path().join("pids/redis"), "").unwrap();
    let stack = Stack::open(folder.path().to_owned()).unwrap();
    let schedule: Schedule = "kill redis at 100ms for 100ms".parse().unwrap();
    let run = load_for(Lie::None, 3_600.0, Some((schedule, stack)));
    let error = timeout(Duration::from_secs(30), run).await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "kill redis: redis does not run");
}
