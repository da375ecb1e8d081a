//! Migrations of Postgres beside a service that runs and others that hold locks, such as a dump.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use imserver::store::{Timelines, postgres::PgStore};
use sqlx::{PgConnection, migrate::Migrator};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::{
    contracts::store::{demo_user, send},
    harness::{DEADLINE, Figures, eventually, postgres},
};

/// The folder of the version after this one: its migrations, and these.
async fn next_version(added: &[(&str, &str)]) -> (TempDir, Migrator) {
    let folder = tempfile::tempdir().unwrap();
    for file in fs::read_dir("migrations/postgres").unwrap().map(Result::unwrap) {
        fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
    }
    for (file, sql) in added {
        fs::write(folder.path().join(file), sql).unwrap();
    }
    let migrator = Migrator::new(folder.path()).await.unwrap();
    (folder, migrator)
}

const COLUMN: (&str, &str) = ("9001_column.sql", "ALTER TABLE chats ADD COLUMN mood TEXT;");
const INDEX: (&str, &str) = (
    "9002_index.sql",
    "-- no-transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS chats_by_mood ON chats (mood);",
);

/// Begins what a dump does: a snapshot, and the weakest lock on every table.
async fn dump(database: &str) -> PgConnection {
    let mut dump = postgres::connect(database).await;
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
        LOCK TABLE service, users, chats, timelines, timeline_events, conversations, members
            IN ACCESS SHARE MODE;
        SELECT count(*) FROM chats";
    sqlx::raw_sql(begin).execute(&mut dump).await.unwrap();
    dump
}

/// Which migrations are applied, and whether every index is valid.
async fn applied(database: &str) -> (i64, bool) {
    let mut connection = postgres::connect(database).await;
    sqlx::query_as(
        "SELECT (SELECT count(*) FROM _sqlx_migrations WHERE version > 9000),
             (SELECT bool_and(indisvalid) FROM pg_index)",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_that_waits_for_a_dump_stops_nobody() {
    let database = postgres::database().await;
    let store = Arc::new(PgStore::open(&database).await.unwrap());
    let zhang = demo_user(&*store, "张三").await.id;
    send(&*store, zhang.get(), zhang.get(), "before").await;
    let mut dump = dump(&database).await;

    let (_folder, migrator) = next_version(&[COLUMN, INDEX]).await;
    let migrator = Arc::new(migrator);
    let mut replicas = JoinSet::new();
    for _ in 0..2 {
        let (database, migrator) = (database.clone(), Arc::clone(&migrator));
        replicas.spawn(async move { PgStore::migrate(&database, &migrator).await });
    }
    // What the replicas that run do meanwhile.
    let is_over = Arc::new(AtomicBool::new(false));
    let users = tokio::spawn({
        let (store, is_over) = (Arc::clone(&store), Arc::clone(&is_over));
        async move {
            let mut longest = Duration::ZERO;
            while !is_over.load(Ordering::Relaxed) {
                let begun = Instant::now();
                store.latest_chats(zhang, 10).await.expect("a read");
                send(&*store, zhang.get(), zhang.get(), "meanwhile").await;
                longest = longest.max(begun.elapsed());
            }
            longest
        }
    });
    // Long enough for two attempts, and for what waits to run into its end.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(replicas.try_join_next().is_none(), "they wait for the dump");
    sqlx::raw_sql("COMMIT").execute(&mut dump).await.unwrap();
    for migrated in replicas.join_all().await {
        migrated.unwrap();
    }
    is_over.store(true, Ordering::Relaxed);
    let longest = users.await.unwrap();
    Figures::of("migration_under_load").time("longest read and send", longest);
    assert!(longest < Duration::from_secs(3), "{longest:?}");
    assert_eq!(applied(&database).await, (2, true));
}

/// Waits until a session waits for somebody else with such a statement; returns its process.
async fn waiting_with(statement: &str, observer: &mut PgConnection) -> i32 {
    let begun = Instant::now();
    loop {
        let waiting = sqlx::query_scalar(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()
                 AND query LIKE '%' || $1 || '%' AND wait_event_type = 'Lock'
                 AND pid <> pg_backend_pid()",
        );
        if let Some(pid) = waiting.bind(statement).fetch_optional(&mut *observer).await.unwrap() {
            return pid;
        }
        assert!(begun.elapsed() < DEADLINE, "nobody waits with {statement}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_waits_for_a_dump_and_begins_anew_after_an_interruption() {
    let database = postgres::database().await;
    let store = Arc::new(PgStore::open(&database).await.unwrap());
    let (_folder, migrator) = next_version(&[COLUMN]).await;
    PgStore::migrate(&database, &migrator).await.unwrap();
    let mut dump = dump(&database).await;

    let (_folder, migrator) = next_version(&[COLUMN, INDEX]).await;
    let migrator = Arc::new(migrator);
    let begin = || {
        let (database, migrator) = (database.clone(), Arc::clone(&migrator));
        tokio::spawn(async move { PgStore::migrate(&database, &migrator).await })
    };
    let (first, second) = (begin(), begin());
    let mut observer = postgres::connect(&database).await;
    // It waits for the dump's snapshot, with an index that is not valid yet.
    let waiting = waiting_with("CREATE INDEX", &mut observer).await;
    let zhang = demo_user(&*store, "张三").await.id;
    send(&*store, zhang.get(), zhang.get(), "meanwhile").await;
    assert!(!applied(&database).await.1);
    sqlx::query("SELECT pg_terminate_backend($1)")
        .bind(waiting)
        .execute(&mut observer)
        .await
        .unwrap();
    // One of the two was interrupted; the other has its turn.
    eventually("one ends", async || first.is_finished() || second.is_finished()).await;
    sqlx::raw_sql("COMMIT").execute(&mut dump).await.unwrap();
    let ends = [first.await.unwrap(), second.await.unwrap()];
    assert_eq!(ends.iter().filter(|end| end.is_ok()).count(), 1, "{ends:?}");
    assert_eq!(applied(&database).await, (2, true));
}

/// A replica of the version before takes its turn by a statement that waits, and keeps a snapshot.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_of_the_version_before_that_waits_its_turn_gets_it() {
    use sqlx::migrate::Migrate;
    let database = postgres::database().await;
    PgStore::open(&database).await.unwrap();
    let mut holder = postgres::connect(&database).await;
    sqlx::raw_sql("BEGIN; LOCK TABLE chats IN SHARE UPDATE EXCLUSIVE MODE")
        .execute(&mut holder)
        .await
        .unwrap();
    let (_folder, migrator) = next_version(&[COLUMN, INDEX]).await;
    let migrating = tokio::spawn({
        let database = database.clone();
        async move { PgStore::migrate(&database, &migrator).await }
    });
    let mut before = postgres::connect(&database).await;
    waiting_with("ALTER TABLE", &mut before).await;
    let before = tokio::spawn(async move {
        before.lock().await.unwrap();
        before.unlock().await.unwrap();
    });
    tokio::time::timeout(DEADLINE, before).await.expect("it starts").unwrap();
    sqlx::raw_sql("COMMIT").execute(&mut holder).await.unwrap();
    migrating.await.unwrap().unwrap();
    assert_eq!(applied(&database).await, (2, true));
}

/// The rule for whoever writes a migration.
#[test]
fn an_index_on_a_table_that_is_there_is_made_concurrently() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/postgres");
    for file in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        // The second was published before the rule.
        let name = file.file_name().into_string().unwrap();
        if name.starts_with("0001") || name.starts_with("0002") {
            continue;
        }
        let sql = fs::read_to_string(file.path()).unwrap();
        for line in sql.lines().filter(|line| line.trim_start().starts_with("CREATE")) {
            let Some((_, table)) = line.split_once(" ON ") else { continue };
            let table = table.split([' ', '(']).next().unwrap();
            if !line.contains(" INDEX ") || sql.contains(&format!("CREATE TABLE {table} ")) {
                continue;
            }
            assert!(line.contains("INDEX CONCURRENTLY IF NOT EXISTS"), "{name}: {line}");
            assert!(sql.starts_with("-- no-transaction\n"), "{name}");
            assert_eq!(sql.matches(';').count(), 1, "{name}: nothing else in it");
        }
    }
}
