//! What a message costs Postgres. Not tests but measurements, run by hand:
//! `./dev test -- --ignored cost_of_a_message`, `cost_of_the_outbox`, or `what_lingering_gains`. They write
//! their figures to `test-output/figures/`.

use std::time::{Duration, Instant};

use imserver::{
    domain::UserId,
    store::{
        NewChat, Store,
        batcher::{Batcher, LINGER},
    },
};
use rand::{Rng, SeedableRng, rngs::SmallRng};
use tokio::task::JoinSet;

use super::{Database, chat, name, postgres::PgDatabase, user};
use crate::harness::{Figures, cpu, postgres};

const PAIRS: i64 = 10_000;
/// The processor time of the server's processes for this database, so far.
pub async fn spent(url: &str) -> Duration {
    let mut connection = postgres::connect(url).await;
    let processes: Vec<i32> = sqlx::query_scalar(
        "SELECT pid FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'imserver'",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    processes.iter().map(|pid| cpu::of_process(pid.cast_unsigned())).sum()
}

async fn batches(store: &dyn Store, size: usize, count: usize, random: &mut SmallRng) {
    for _ in 0..count {
        let batch: Vec<NewChat> = (0..size).map(|_| any_chat(random)).collect();
        store.append(&batch).await.unwrap();
    }
}

fn any_chat(random: &mut SmallRng) -> NewChat {
    let sender = random.random_range(1..=PAIRS * 2);
    let key = format!("{:032x}", random.random::<u128>());
    chat(sender, ((sender - 1) ^ 1) + 1, &key, &"x".repeat(100))
}

/// A database in which everybody is, and most conversations are.
async fn peopled(random: &mut SmallRng) -> PgDatabase {
    let database = PgDatabase::create().await;
    let store = database.open().await;
    let everybody: Vec<(UserId, _)> = (1..=PAIRS * 2).map(|id| (user(id), name("x"))).collect();
    store.ensure_users(&everybody).await.unwrap();
    batches(&*store, 500, 120, random).await;
    database.tamper("VACUUM ANALYZE").await;
    database
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, which takes a minute"]
async fn cost_of_a_message() {
    let mut random = SmallRng::seed_from_u64(7);
    let database = peopled(&mut random).await;
    let store = database.open().await;
    let figures = Figures::of("cost_of_a_message");
    for (size, count) in [(1, 4_000), (20, 1_000), (200, 150), (500, 60)] {
        let (before, begun) = (spent(database.url()).await, Instant::now());
        batches(&*store, size, count, &mut random).await;
        let (cpu, wall) = (spent(database.url()).await.saturating_sub(before), begun.elapsed());
        let messages = u32::try_from(size * count).unwrap();
        figures.micros(format!("batches of {size}, Postgres CPU a message"), cpu / messages);
        let a_batch = wall / u32::try_from(count).unwrap();
        figures.micros(format!("batches of {size}, time a batch"), a_batch);
    }
    // Nobody has written to the next but one.
    let mut first_chats = (1..=PAIRS * 2 - 2).map(|sender| chat(sender, sender + 2, "first", "x"));
    for (size, count) in [(20, 100), (500, 10)] {
        let before = spent(database.url()).await;
        for _ in 0..count {
            let batch: Vec<NewChat> = first_chats.by_ref().take(size).collect();
            store.append(&batch).await.unwrap();
        }
        let cpu = spent(database.url()).await.saturating_sub(before);
        let a_message = cpu / u32::try_from(size * count).unwrap();
        figures.micros(format!("batches of {size} first chats, Postgres CPU a message"), a_message);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, which takes a minute"]
async fn cost_of_the_outbox() {
    let mut random = SmallRng::seed_from_u64(7);
    let database = peopled(&mut random).await;
    let store = database.open().await;
    let figures = Figures::of("cost_of_the_outbox");
    for (size, count) in [(1, 2_000), (20, 500), (200, 75)] {
        for is_on in [false, true, false, true] {
            store.switch_outbox(is_on).await.unwrap();
            let (before, begun) = (spent(database.url()).await, Instant::now());
            batches(&*store, size, count, &mut random).await;
            let (cpu, wall) = (spent(database.url()).await.saturating_sub(before), begun.elapsed());
            let what = format!("batches of {size}, outbox {}", if is_on { "on" } else { "off" });
            let a_message = cpu / u32::try_from(size * count).unwrap();
            figures.micros(format!("{what}, Postgres CPU a message"), a_message);
            let a_batch = wall / u32::try_from(count).unwrap();
            figures.micros(format!("{what}, time a batch"), a_batch);
        }
    }
    let mut connection = postgres::connect(database.url()).await;
    let (bytes, rows): (i64, i64) =
        sqlx::query_as("SELECT pg_total_relation_size('outbox'), (SELECT count(*) FROM outbox)")
            .fetch_one(&mut connection)
            .await
            .unwrap();
    figures.bytes("disk a row", bytes / rows);
}

/// Sends for some seconds at random moments, at this rate on average, whether or not earlier sends
/// are answered. Returns how long each took, from when it was meant to begin.
async fn open_loop(batcher: &Batcher, rate: f64, mut random: SmallRng) -> Vec<Duration> {
    let mut answers = JoinSet::new();
    let begun = tokio::time::Instant::now();
    let mut at = begun;
    while at < begun + Duration::from_secs(5) {
        tokio::time::sleep_until(at).await;
        let ticket = batcher.enqueue(any_chat(&mut random)).unwrap();
        answers.spawn(async move {
            ticket.wait().await.unwrap();
            at.elapsed()
        });
        at += Duration::from_secs_f64(-(1.0 - random.random::<f64>()).ln() / rate);
    }
    answers.join_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, which takes two minutes"]
async fn what_lingering_gains() {
    let mut random = SmallRng::seed_from_u64(7);
    let database = peopled(&mut random).await;
    let mut connection = postgres::connect(database.url()).await;
    let figures = Figures::of("what_lingering_gains");
    for (replicas, rate) in [(1, 100), (2, 1_000), (1, 3_000), (2, 3_000), (4, 3_000), (4, 6_000)] {
        for linger in [Duration::ZERO, LINGER] {
            let newest = "SELECT coalesce(max(id), 0) FROM chats";
            let before: i64 = sqlx::query_scalar(newest).fetch_one(&mut connection).await.unwrap();
            let mut batchers = Vec::new();
            for _ in 0..replicas {
                let batcher = Batcher::start(database.open().await, linger, Box::new(|_| ()));
                // Its connection and its plans are made.
                batcher.append(any_chat(&mut random)).await.unwrap();
                batchers.push(batcher);
            }
            let spent_before = spent(database.url()).await;
            let mut loops = JoinSet::new();
            for batcher in batchers.clone() {
                let random = SmallRng::from_rng(&mut random);
                let rate = f64::from(rate) / f64::from(replicas);
                loops.spawn(async move { open_loop(&batcher, rate, random).await });
            }
            let mut took: Vec<Duration> = loops.join_all().await.into_iter().flatten().collect();
            let cpu = spent(database.url()).await.saturating_sub(spent_before);
            took.sort_unstable();
            let transactions: i64 =
                sqlx::query_scalar("SELECT count(DISTINCT xmin::text) FROM chats WHERE id > $1")
                    .bind(before)
                    .fetch_one(&mut connection)
                    .await
                    .unwrap();
            let what = format!("{replicas} replicas, {rate}/s, linger {linger:?}");
            let a_message = cpu / u32::try_from(took.len()).unwrap();
            figures.micros(format!("{what}: Postgres CPU a message"), a_message);
            let a_batch = took.len() / usize::try_from(transactions).unwrap();
            figures.count(format!("{what}: messages a batch"), a_batch);
            figures.micros(format!("{what}: p50"), took[took.len() / 2]);
            figures.micros(format!("{what}: p99"), took[took.len() * 99 / 100]);
            for batcher in batchers {
                batcher.close().await;
            }
        }
    }
}
