//! The suite's databases in Postgres, and what only a database of several replicas has to show.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use imserver::{
    domain::SessionId,
    store::{Appends, Health, History, Store, StoreError, TokenHash, postgres::PgStore},
};
use rand::{Rng, SeedableRng, rngs::SmallRng};
use sqlx::{AssertSqlSafe, Connection, PgConnection, migrate::Migrate};
use tokio::{sync::Mutex, task::JoinSet};

use super::{Database, chat, poisoned, populated, send, timeline};
use crate::harness::{DEADLINE, Proxy, eventually, postgres};

pub(super) struct PgDatabase {
    url: String,
}

impl PgDatabase {
    pub(super) fn url(&self) -> &str {
        &self.url
    }
}

impl Database for PgDatabase {
    const BYTES: &'static str = r"'\x{}'::bytea";
    const MAKES_WAIT: bool = false;

    async fn create() -> Self {
        Self { url: postgres::database().await }
    }

    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(PgStore::open(&self.url).await.unwrap())
    }

    async fn tamper(&self, statement: &str) {
        postgres::execute(&self.url, statement).await;
    }

    async fn columns(&self) -> Vec<String> {
        let mut connection = postgres::connect(&self.url).await;
        let query = sqlx::query_scalar(
            "SELECT table_name || '.' || column_name FROM information_schema.columns
             WHERE table_schema = current_schema() AND table_name <> '_sqlx_migrations'",
        );
        query.fetch_all(&mut connection).await.unwrap()
    }

    async fn number(&self, query: &str) -> i64 {
        let mut connection = postgres::connect(&self.url).await;
        let query = AssertSqlSafe(query.to_owned());
        sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap()
    }
}

/// The counters, of those of the users 1 to 4, that nobody holds.
async fn unlocked(connection: &mut PgConnection) -> Vec<i64> {
    sqlx::query_scalar(
        "SELECT user_id FROM timelines WHERE user_id <= 4 ORDER BY user_id
         FOR NO KEY UPDATE SKIP LOCKED",
    )
    .fetch_all(connection)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_are_locked_in_ascending_order_before_anything_else() {
    let (database, store) = populated::<PgDatabase>(4).await;
    // Conversations begin with it, so that it is not as usual.
    locks_in_order(&database, &store, ["a", "b", "c"]).await;
    send(&*store, 4, 2, "begun").await;
    send(&*store, 3, 1, "begun").await;
    locks_in_order(&database, &store, ["d", "e", "f"]).await;
}

async fn locks_in_order(database: &PgDatabase, store: &Arc<dyn Store>, keys: [&str; 3]) {
    let mut holder = postgres::connect(&database.url).await;
    let mut observer = postgres::connect(&database.url).await;
    let mut held = holder.begin().await.unwrap();
    sqlx::query("SELECT 1 FROM timelines WHERE user_id = 3 FOR NO KEY UPDATE")
        .execute(&mut *held)
        .await
        .unwrap();

    let [a, b, c] = keys;
    let batch = [chat(4, 2, a, "x"), chat(3, 1, b, "x"), chat(2, 4, c, "x")];
    // It holds the counters before the one it waits for, and none after. After 2 s it gives up and
    // gives back what it holds; on a machine that stalls for so long it is tried again.
    let begun = Instant::now();
    let mut is_seen = false;
    while !is_seen {
        assert!(begun.elapsed() < DEADLINE, "another order");
        let (store, batch) = (Arc::clone(store), batch.clone());
        let blocked = tokio::spawn(async move { store.append(&batch).await });
        while !is_seen && !blocked.is_finished() {
            is_seen = unlocked(&mut observer).await == [4];
        }
        let refused = blocked.await.unwrap().unwrap_err();
        assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
    }
    assert_eq!(unlocked(&mut observer).await, [1, 2, 4]);
}

/// What the service did last.
async fn last_statement(database: &PgDatabase) -> String {
    let mut connection = postgres::connect(&database.url).await;
    sqlx::query_scalar(
        "SELECT query FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'imserver'
         ORDER BY query_start DESC LIMIT 1",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap()
}

#[tokio::test]
async fn a_batch_as_usual_is_one_statement() {
    let (database, store) = populated::<PgDatabase>(3).await;
    let is_one = async || {
        let last = last_statement(&database).await;
        let one = last.starts_with("WITH person");
        assert_ne!(one, last == "COMMIT", "{last:?}");
        one
    };
    send(&*store, 1, 2, "begins a conversation").await;
    assert!(!is_one().await);
    send(&*store, 1, 2, "goes on").await;
    assert!(is_one().await);
    store.append(&[chat(2, 1, "a", "x"), chat(1, 1, "to oneself", "x")]).await.unwrap();
    assert!(!is_one().await);
    store.append(&[chat(2, 1, "b", "x"), chat(1, 1, "again", "x")]).await.unwrap();
    assert!(is_one().await);
}

/// How often the index of conversations was asked, and how many of its entries that read.
async fn probes(connection: &mut PgConnection) -> (i64, i64) {
    sqlx::query_as(
        "SELECT idx_scan, idx_tup_read FROM pg_stat_user_indexes
         WHERE indexrelname = 'conversations_by_pair'",
    )
    .fetch_one(connection)
    .await
    .unwrap()
}

#[tokio::test]
async fn a_batch_reads_its_own_conversations_only() {
    const BATCHES: i64 = 50;
    let (database, store) = populated::<PgDatabase>(2).await;
    send(&*store, 1, 2, "begins").await;
    // Many, of which the planner knows nothing yet.
    let others = "INSERT INTO conversations (kind, low_user, high_user, created_at)
        SELECT 'direct', 1000 + n, 9000 + n, 0 FROM generate_series(1, 2000) n";
    database.tamper(others).await;
    let mut connection = postgres::connect(&database.url).await;
    let (asked, read) = probes(&mut connection).await;
    for n in 0..BATCHES {
        send(&*store, 1, 2, &format!("{n}")).await;
    }
    // Postgres counts what a session did once it has been idle for some seconds.
    let mut now = (0, 0);
    let begun = Instant::now();
    while now.0 < asked + BATCHES {
        assert!(begun.elapsed() < DEADLINE, "{now:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
        now = probes(&mut connection).await;
    }
    assert!(now.1 - read <= 4 * BATCHES, "{} entries", now.1 - read);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_with_crossed_users_and_keys_never_deadlock() {
    const USERS: i64 = 20;
    let (database, store) = populated::<PgDatabase>(USERS).await;
    let until = Instant::now() + Duration::from_secs(5);
    let mut replicas = JoinSet::new();
    for (replica, store) in [store.clone(), database.open().await].into_iter().enumerate() {
        replicas.spawn(async move {
            let mut random = SmallRng::seed_from_u64(replica as u64);
            let mut commits = 0;
            while Instant::now() < until {
                // Few keys, so that both replicas try the same ones at the same time.
                let batch: Vec<_> = (0..random.random_range(1..40))
                    .map(|_| {
                        let (sender, target) =
                            (random.random_range(1..=USERS), random.random_range(1..=USERS));
                        let key = format!("{target}-{}", random.random_range(commits..commits + 9));
                        chat(sender, target, &key, "x")
                    })
                    .collect();
                store.append(&batch).await.expect("no deadlock, no time-out");
                commits += 1;
            }
            commits
        });
    }
    let commits = replicas.join_all().await;
    assert!(commits.iter().all(|&commits| commits > 10), "both came through: {commits:?}");
    let mut connection = postgres::connect(&database.url).await;
    let deadlocks: i64 = sqlx::query_scalar(
        "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(deadlocks, 0);
    // One chat a key, and timelines without holes.
    for of in 1..=USERS {
        timeline(&*store, of).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_start_together_migrate_once() {
    for _ in 0..5 {
        let url = postgres::database().await;
        let mut starts = JoinSet::new();
        for _ in 0..3 {
            let url = url.clone();
            starts.spawn(async move { PgStore::open(&url).await.unwrap().epoch().await.unwrap() });
        }
        let epochs = starts.join_all().await;
        assert!(epochs.iter().all(|epoch| *epoch == epochs[0]), "one history: {epochs:?}");
        let mut connection = postgres::connect(&url).await;
        let applied: (i64, bool) =
            sqlx::query_as("SELECT count(*), bool_and(success) FROM _sqlx_migrations")
                .fetch_one(&mut connection)
                .await
                .unwrap();
        let migrations = std::fs::read_dir("migrations/postgres").unwrap().count();
        assert_eq!(applied, (i64::try_from(migrations).unwrap(), true));
    }
}

/// A replica that was killed or frozen while it migrated: its session still has the lock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_dies_while_it_migrates_lets_the_others_go_on() {
    let url = postgres::database().await;
    // The lock and the session that the program's own migration would have.
    let mut dying = postgres::connect(&url).await;
    sqlx::raw_sql("SET idle_session_timeout = '5s'").execute(&mut dying).await.unwrap();
    dying.lock().await.unwrap();
    let observer = Mutex::new(postgres::connect(&url).await);
    let waiting = tokio::spawn({
        let url = url.clone();
        async move { PgStore::open(&url).await }
    });
    eventually("it asks for the lock", async || {
        sqlx::query_scalar(
            "SELECT count(*) > 0 FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()
                 AND query LIKE '%pg_try_advisory_lock%' AND state = 'idle'",
        )
        .fetch_one(&mut *observer.lock().await)
        .await
        .unwrap()
    })
    .await;
    assert!(!waiting.is_finished(), "it waits for the one that has the lock");
    let begun = Instant::now();
    waiting.await.unwrap().unwrap().ping().await.unwrap();
    assert!(begun.elapsed() < DEADLINE, "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_server_or_timeline_is_another_history() {
    let database = PgDatabase::create().await;
    let store = database.open().await;
    let first = store.epoch().await.unwrap();
    database.tamper("UPDATE service SET wal_timeline = wal_timeline - 1").await;
    // Replicas that run find it out, and agree.
    let other = database.open().await;
    let second = store.epoch().await.unwrap();
    assert_ne!(second, first);
    assert_eq!(other.epoch().await.unwrap(), second);
    database.tamper("UPDATE service SET system_identifier = 7").await;
    let third = other.epoch().await.unwrap();
    assert_ne!(third, second);
    assert_eq!(store.epoch().await.unwrap(), third);
    // What was not known is no change.
    database.tamper("UPDATE service SET system_identifier = NULL, wal_timeline = NULL").await;
    assert_eq!(store.epoch().await.unwrap(), third);
    database.tamper("UPDATE service SET wal_timeline = wal_timeline + 1").await;
    assert_ne!(store.epoch().await.unwrap(), third);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_may_not_ask_has_the_stored_epoch() {
    let database = PgDatabase::create().await;
    let name = database.url.rsplit_once('/').unwrap().1;
    database
        .tamper(&format!(
            "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC;
             CREATE ROLE {name}_plain LOGIN; GRANT ALL ON SCHEMA public TO {name}_plain"
        ))
        .await;
    let url = database.url.replace("postgres@", &format!("{name}_plain@"));
    let store = PgStore::open(&url).await.unwrap();
    let epoch = store.epoch().await.unwrap();
    assert_eq!(PgStore::open(&url).await.unwrap().epoch().await.unwrap(), epoch);
    let rotated = store.rotate_epoch().await.unwrap();
    assert_eq!(store.epoch().await.unwrap(), rotated);
    // What comes to be known later is no change.
    database.tamper("GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC").await;
    assert_eq!(store.epoch().await.unwrap(), rotated);
    database.tamper("UPDATE service SET wal_timeline = wal_timeline + 1").await;
    assert_ne!(store.epoch().await.unwrap(), rotated);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_the_server_ended_are_replaced() {
    let (database, store) = populated::<PgDatabase>(2).await;
    send(&*store, 1, 2, "before").await;
    // Longer than a connection counts as fresh.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    database
        .tamper(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .await;
    send(&*store, 1, 2, "after").await;
    assert_eq!(timeline(&*store, 2).await.len(), 2);
}

/// A store that reaches its database, in which the users 1 and 2 exist, through a proxy.
async fn through_proxy() -> (Proxy, PgStore) {
    let (database, _) = populated::<PgDatabase>(2).await;
    let address = database.url.split_once('@').unwrap().1.split_once('/').unwrap().0;
    let proxy = Proxy::start(address.parse().unwrap()).await;
    let url = database.url.replace(address, &proxy.addr().to_string());
    (proxy, PgStore::open(&url).await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_died_silently_refuse_nobody() {
    let (proxy, store) = through_proxy().await;
    let mut reads = JoinSet::new();
    for _ in 0..100 {
        let store = store.clone();
        reads.spawn(async move { store.ping().await.unwrap() });
    }
    reads.join_all().await;
    proxy.silence();
    proxy.heal();
    // Longer than a connection counts as fresh.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    for _ in 0..3 {
        eventually("a new connection is opened instead", async || store.ping().await.is_ok()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_on_a_connection_that_fell_silent_ends_when_nobody_waits_any_more() {
    let (proxy, store) = through_proxy().await;
    send(&store, 1, 2, "before").await;
    let (refused, waited) = loop {
        let begun = Instant::now();
        proxy.silence();
        proxy.heal();
        // The connection has just been used, so nobody probes it, unless this machine has stalled.
        if let Err(refused) = store.append(&[chat(1, 2, "k", "x")]).await {
            break (refused, begun.elapsed());
        }
    };
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
    assert!(waited.as_millis() > 4_500 && waited < DEADLINE, "{waited:?}");
    send(&store, 1, 2, "after").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_reads_does_not_keep_a_send_waiting() {
    let (database, store) = populated::<PgDatabase>(2).await;
    let mut holder = postgres::connect(&database.url).await;
    let observer = Mutex::new(postgres::connect(&database.url).await);
    let mut held = holder.begin().await.unwrap();
    // Every read of sessions waits for this.
    sqlx::query("LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE").execute(&mut *held).await.unwrap();
    let mut reads = JoinSet::new();
    for _ in 0..40 {
        let store = store.clone();
        reads.spawn(async move { store.sessions(&[SessionId::new(1).unwrap()]).await });
    }
    eventually("all connections for reads wait", async || {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )
        .fetch_one(&mut *observer.lock().await)
        .await
        .unwrap();
        waiting == 10
    })
    .await;
    let begun = Instant::now();
    send(&*store, 1, 2, "x").await;
    // A read gives up after 5 s.
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    for result in reads.join_all().await {
        assert!(matches!(result, Err(StoreError::Unavailable(_))), "{result:?}");
    }
    held.rollback().await.unwrap();
    assert!(store.session(TokenHash([1; 32])).await.unwrap().is_none(), "and it goes on");
}

#[tokio::test]
async fn an_error_shows_neither_password_nor_content() {
    for url in ["postgres://u:hunter2@127.0.0.1:1/d", "postgres://u:hunter2@h:x/d"] {
        let refused = PgStore::open(url).await.unwrap_err();
        assert!(!format!("{refused} {refused:?}").contains("hunter2"), "{refused:?}");
    }
    let (_database, store) = populated::<PgDatabase>(2).await;
    let refused = store.append(&[poisoned(1, 2, "k")]).await.unwrap_err();
    assert!(!format!("{refused} {refused:?}").contains("xxxx"), "{refused:?}");
}
