//! The disk under Postgres fills up, first for its tables and then for its log, and has room again.

use std::time::{Duration, Instant};

use tokio::task::block_in_place;

use super::postgres_faults::Field;
use crate::harness::{eventually, postgres};

/// How large the table is made before, in chats: larger than a segment of the log, which has a megabyte here, so that
/// there is a size of files at which tables are full and the log is not.
const CHATS: u32 = 4_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_costs_no_acknowledged_chat() {
    let small_log = || postgres::Cluster::with(&["--wal-segsize=1"], &[]);
    let mut field = Field::on(block_in_place(small_log), "postgres_full").await;
    // Of nobody and nowhere.
    let filler = format!(
        "INSERT INTO chats (id, conversation_id, sender_id, sender_seq, client_msg_id, kind, content, created_at)
         SELECT -n, -1, -1, n, n::text, 'text', repeat('x', 400), 0 FROM generate_series(1, {CHATS}) n"
    );
    postgres::execute(&field.database, &filler).await;
    field.load.run_for(Duration::from_secs(1)).await;

    let mut connection = postgres::connect(&field.database).await;
    let size: i64 = sqlx::query_scalar("SELECT pg_relation_size('chats')")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert!(size > 1024 * 1024, "{size}");
    field.postgres.limit_files(&size.to_string());
    let server = &field.cluster.replicas[0];
    eventually("writes fail", async || {
        server.get("/readyz").await.text().await.unwrap().contains("database_writes")
    })
    .await;
    assert!(field.postgres.is_running());
    // What reads goes on.
    assert_eq!(field.person.get("/v1/conversations").await.status(), 200);
    field.load.run_for(Duration::from_secs(2)).await;
    field.postgres.limit_files("unlimited");
    field.recovers(Instant::now()).await;

    // Without its log Postgres ends.
    field.postgres.limit_files("65536");
    field.load.run_for(Duration::from_secs(3)).await;
    if field.postgres.is_running() {
        field.postgres.limit_files("unlimited");
    }
    block_in_place(|| field.postgres.revive());
    field.recovers(Instant::now()).await;

    // Why it aborted it could not log.
    let log = field.postgres.log();
    for said in ["could not extend file", "was terminated by signal 6"] {
        assert!(log.contains(said), "{said}: {log}");
    }
    let verdict = field.ends().await;
    assert!(verdict.is_clean(), "{verdict}");
    assert!(verdict.chats > 300, "{verdict}");
}
