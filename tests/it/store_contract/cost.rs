//! What a message costs Postgres. Not a test but a measurement, run by hand:
//! `./dev test -- --ignored --nocapture cost_of_a_message`.

use std::time::{Duration, Instant};

use imserver::{
    domain::UserId,
    store::{NewChat, Store},
};
use rand::{Rng, SeedableRng, rngs::SmallRng};

use super::{Database, chat, name, postgres::PgDatabase, user};
use crate::harness::postgres;

const PAIRS: i64 = 10_000;
/// A tick of the times in `/proc`: 10 ms on every Linux that runs this.
const TICK: Duration = Duration::from_millis(10);

/// The processor time of the server's processes for this database, so far.
async fn spent(url: &str) -> Duration {
    let mut connection = postgres::connect(url).await;
    let processes: Vec<i32> = sqlx::query_scalar(
        "SELECT pid FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'imserver'",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    let ticks = processes.iter().map(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        // After the name, which may hold blanks; user and system time are fields 14 and 15.
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        fields[11].parse::<u32>().unwrap() + fields[12].parse::<u32>().unwrap()
    });
    TICK * ticks.sum::<u32>()
}

async fn batches(store: &dyn Store, size: usize, count: usize, random: &mut SmallRng) {
    for _ in 0..count {
        let batch: Vec<NewChat> = (0..size)
            .map(|_| {
                let sender = random.random_range(1..=PAIRS * 2);
                let key = format!("{:032x}", random.random::<u128>());
                chat(sender, ((sender - 1) ^ 1) + 1, &key, &"x".repeat(100))
            })
            .collect();
        store.append(&batch).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, which takes a minute"]
async fn cost_of_a_message() {
    let database = PgDatabase::create().await;
    let store = database.open().await;
    let everybody: Vec<(UserId, _)> = (1..=PAIRS * 2).map(|id| (user(id), name("x"))).collect();
    store.ensure_users(&everybody).await.unwrap();
    let mut random = SmallRng::seed_from_u64(7);
    // Most conversations are there before it is measured.
    batches(&*store, 500, 120, &mut random).await;
    database.tamper("VACUUM ANALYZE").await;
    for (size, count) in [(1, 4_000), (20, 1_000), (200, 150), (500, 60)] {
        let (before, begun) = (spent(database.url()).await, Instant::now());
        batches(&*store, size, count, &mut random).await;
        let (cpu, wall) = (spent(database.url()).await.saturating_sub(before), begun.elapsed());
        let messages = u32::try_from(size * count).unwrap();
        println!(
            "batches of {size:>3}: {:>5} µs of Postgres CPU a message, {:>6} µs of time a batch",
            (cpu / messages).as_micros(),
            (wall / u32::try_from(count).unwrap()).as_micros(),
        );
    }
}
