//! A Postgres that does not write, and one that cannot hold the text.

use imserver::store::postgres::PgStore;
use serde_json::json;

use super::{is_well, only_reads, send};
use crate::harness::{
    Receiver, Server, Start, eventually, postgres,
    receiver::{Answer, SECRET},
};

fn on(database: &str) -> Start {
    Start::default()
        .set("database.url", database)
        .set("bus.single_replica", true)
        .set("auth.demo_login", true)
        .set("log.filter", "info")
}

fn start(database: &str) -> Server {
    on(database).run()
}

/// Ends the sessions of the service, so that it opens new ones.
async fn end_sessions(database: &str) {
    postgres::execute(
        database,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_only_reads_shows_and_is_written_again_by_itself() {
    let database = postgres::database().await;
    let name = database.rsplit_once('/').unwrap().1;
    let server = tokio::task::block_in_place(|| start(&database));
    let zhang = server.person("张三").await;
    assert_eq!(send(&zhang, "before").await, 201);
    let set = format!("ALTER DATABASE {name} SET default_transaction_read_only = on");
    postgres::execute(&database, &set).await;
    end_sessions(&database).await;
    // Before anybody has sent.
    only_reads(&server, &zhang).await;
    assert_eq!(send(&zhang, "refused").await, 503);
    only_reads(&server, &zhang).await;
    let reset = format!("BEGIN READ WRITE; ALTER DATABASE {name} RESET ALL; COMMIT");
    postgres::execute(&database, &reset).await;
    // The sessions of before only read for as long as they are kept.
    is_well(&server).await;
    assert_eq!(send(&zhang, "after").await, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_somebody_locks_shows_and_is_written_again_by_itself() {
    let database = postgres::database().await;
    let server = tokio::task::block_in_place(|| start(&database));
    let zhang = server.person("张三").await;
    assert_eq!(send(&zhang, "before").await, 201);
    let mut holder = postgres::connect(&database).await;
    // Reads go on beside this one.
    sqlx::raw_sql("BEGIN; LOCK TABLE chats IN SHARE MODE").execute(&mut holder).await.unwrap();
    assert_eq!(send(&zhang, "locked out").await, 503);
    only_reads(&server, &zhang).await;
    // For longer than the time between two attempts.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    only_reads(&server, &zhang).await;
    sqlx::raw_sql("ROLLBACK").execute(&mut holder).await.unwrap();
    is_well(&server).await;
    assert_eq!(send(&zhang, "after").await, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_miss_nothing_while_sessions_of_the_database_end() {
    let database = postgres::database().await;
    let receiver = Receiver::start(|_| Answer::Status(200)).await;
    let told = json!([{"name": "crm", "url": receiver.url(), "secret": SECRET}]);
    let start = on(&database).set("webhooks.endpoints", told).set("webhooks.allow_private", true);
    let server = tokio::task::block_in_place(|| start.run());
    let zhang = server.person("张三").await;
    let keys: Vec<_> = (0..60).map(|number| format!("key {number}")).collect();
    for (number, key) in keys.iter().enumerate() {
        if number % 3 == 0 {
            end_sessions(&database).await;
        }
        let body = json!({"clientMsgId": key, "targetUserId": zhang.id, "content": key});
        eventually("it is sent", async || {
            zhang.post("/v1/chats", &body).await.status().is_success()
        })
        .await;
    }
    eventually("all are told", async || receiver.words().len() == keys.len()).await;
    assert_eq!(receiver.words(), keys, "in their order");
}

#[tokio::test]
async fn a_database_that_cannot_hold_every_text_is_refused_with_how_to_make_one() {
    for encoding in ["LATIN1", "EUC_CN", "SQL_ASCII"] {
        let elsewhere = postgres::database().await;
        let name = format!("{}_{encoding}", elsewhere.rsplit_once('/').unwrap().1).to_lowercase();
        let create =
            format!("CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0");
        postgres::execute(&elsewhere, &create).await;
        let url = format!("{elsewhere}_{encoding}").to_lowercase();
        let refused = PgStore::open(&url).await.unwrap_err().to_string();
        assert!(refused.contains(encoding) && refused.contains("ENCODING 'UTF8'"), "{refused}");
        let mut connection = postgres::connect(&url).await;
        let tables: i64 =
            sqlx::query_scalar("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
                .fetch_one(&mut connection)
                .await
                .unwrap();
        assert_eq!(tables, 0, "nothing is made in it");
    }
}
