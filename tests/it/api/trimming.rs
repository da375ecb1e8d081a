//! Timelines that are trimmed under a service that runs: a client that was away for too long loads anew.

use std::time::Duration;

use imserver::{
    clock::Clock,
    domain::{ReplicaId, Seq, UserId},
    store::{Store, postgres::PgStore, sqlite::SqliteStore},
};
use serde_json::json;
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::{
    contracts::store::{demo_user, send},
    harness::{Person, Redis, Server, Start, eventually, postgres, server::assert_problem},
};

/// Two people, the first of whom has sent the second so many chats.
async fn talked(store: &dyn Store, chats: usize) -> [UserId; 2] {
    let zhang = demo_user(store, "张三").await.id;
    let li = demo_user(store, "李四").await.id;
    for _ in 0..chats {
        send(store, zhang.get(), li.get(), "x").await;
    }
    [zhang, li]
}

/// Until this has run no round begins: the first one waits for a day after the upgrade.
const BEGIN_NOW: &str = "UPDATE jobs SET until = until - 86400000";

/// Asks for the work of trimming, for no time.
async fn is_due(store: &dyn Store) -> bool {
    let replica = ReplicaId::new(7).unwrap();
    store.take_job("timelines.trim", replica, Duration::ZERO).await.unwrap().is_some()
}

async fn until_first(store: &dyn Store, user: UserId, first: i64) {
    let first = Seq::new(first).unwrap();
    eventually("it is trimmed", async || store.timeline_range(user).await.unwrap().first == first)
        .await;
}

/// The client goes on after `since`, and is told to load anew after the number before it, over a socket and
/// over HTTP. Then it goes on from the end, `last`.
async fn loads_anew_before(server: &Server, person: &Person, since: i64, last: i64) {
    let (mut socket, _) = person.hello(&json!({"since": since})).await;
    assert_eq!(socket.expect("event").await["seq"], since + 1);
    let events = person.get_json(&format!("/v1/events?since={since}&limit=1")).await;
    assert_eq!(events["events"][0]["seq"], since + 1);

    let lost = format!("/v1/events?since={}", since - 1);
    assert_problem(person.get(&lost).await, 409, "timeline_reset").await;
    let (mut socket, _) = person.hello(&json!({"since": since - 1})).await;
    assert_eq!(socket.expect("reset").await["lastSeq"], last);
    let other = server.person("王五").await;
    other.send(person.id, "next", "next").await;
    assert_eq!(socket.expect("event").await["seq"], last + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_old_is_trimmed_by_one_of_two_replicas() {
    let database = postgres::database().await;
    let store = PgStore::open(&database).await.unwrap();
    let [zhang, li] = talked(&store, 12).await;
    assert!(!is_due(&store).await);
    postgres::execute(&database, BEGIN_NOW).await;
    assert!(is_due(&store).await);
    let age =
        "UPDATE chats SET created_at = created_at - 86400000::bigint * 91 WHERE sender_seq <= 8";
    postgres::execute(&database, age).await;
    let redis = Redis::shared();
    let start = || {
        Start::default()
            .set("database.url", &database)
            .set("bus.url", redis.url())
            .set("bus.namespace", database.rsplit('/').next().unwrap())
            .set("auth.demo_login", true)
            .set("log.filter", "info")
            .begin()
    };
    // Together, so that both ask for the work.
    let (a, b) = (start(), start());
    let replicas = tokio::task::block_in_place(|| [a.ready(), b.ready()]);
    for user in [zhang, li] {
        until_first(&store, user, 9).await;
    }
    let rounds = || -> usize {
        replicas.iter().map(|replica| replica.log().matches("timelines are trimmed").count()).sum()
    };
    eventually("the round is over", async || rounds() > 0).await;
    let li = replicas[1].person("李四").await;
    loads_anew_before(&replicas[0], &li, 8, 12).await;
    assert_eq!(rounds(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_much_is_trimmed() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("imserver.db");
    let store = SqliteStore::open(&path, Clock::system()).await.unwrap();
    let [zhang, li] = talked(&store, 130).await;
    assert!(!is_due(&store).await);
    let mut connection =
        SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(&path)).await.unwrap();
    sqlx::query(BEGIN_NOW).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    assert!(is_due(&store).await);
    let server = tokio::task::block_in_place(|| {
        Start::default()
            .set("database.url", format!("sqlite://{}", path.display()))
            .set("timeline.keep_events", 100)
            .run()
    });
    for user in [zhang, li] {
        until_first(&store, user, 31).await;
    }
    loads_anew_before(&server, &server.person("李四").await, 30, 130).await;
}
