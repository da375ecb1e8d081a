//! Ids of sockets, and which of them must close.

use std::collections::HashSet;

use imserver::{domain::ConnectionId, store::Store};
use tokio::task::JoinSet;

use super::{Database, postgres::PgDatabase, sqlite::SqliteFile, user};
use crate::harness::postgres;

/// Draws ids in several tasks at the same time; returns the highest. Each task's rise, and no two are
/// the same.
async fn draw(store: &std::sync::Arc<dyn Store>, each: usize) -> ConnectionId {
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let store = store.clone();
        tasks.spawn(async move {
            let mut drawn = Vec::new();
            for _ in 0..each {
                drawn.push(store.next_connection().await.unwrap());
            }
            assert!(drawn.is_sorted_by(|one, next| one < next), "{drawn:?}");
            drawn
        });
    }
    let drawn: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    assert_eq!(drawn.iter().collect::<HashSet<_>>().len(), drawn.len(), "one is drawn twice");
    drawn.into_iter().max().unwrap()
}

pub(super) async fn ids_rise_in_the_order_of_opening<D: Database>() {
    let database = D::create().await;
    let store = database.open().await;
    let mut last = draw(&store, 300).await;
    store.rotate_epoch().await.unwrap();
    let mut rises = |next| {
        assert!(last < next, "{last}, then {next}");
        last = next;
    };
    rises(store.next_connection().await.unwrap());
    rises(draw(&store, 20).await);
    drop(store);
    for _ in 0..3 {
        let store = database.open().await;
        rises(store.next_connection().await.unwrap());
        rises(store.next_connection().await.unwrap());
    }
}

pub(super) async fn a_close_means_all_until_now_and_never_goes_back<D: Database>() {
    let database = D::create().await;
    let store = database.open().await;
    let nobody = [user(1), user(2)];
    assert!(store.socket_closures(&nobody).await.unwrap().is_empty());
    assert!(store.socket_closures(&[]).await.unwrap().is_empty());

    let before = store.next_connection().await.unwrap();
    // Of a user who does not exist, as of an anonymous one before the first chat.
    let first = store.close_sockets(user(1)).await.unwrap();
    let after = store.next_connection().await.unwrap();
    assert!(before < first && first < after);
    assert_eq!(store.socket_closures(&nobody).await.unwrap(), [(user(1), first)].into());

    let mut calls = JoinSet::new();
    for _ in 0..20 {
        let store = store.clone();
        calls.spawn(async move { store.close_sockets(user(1)).await.unwrap() });
    }
    let highest = calls.join_all().await.into_iter().max().unwrap();
    assert!(highest > after);
    assert_eq!(store.socket_closures(&nobody).await.unwrap(), [(user(1), highest)].into());
    let other = store.close_sockets(user(2)).await.unwrap();
    let both = [(user(1), highest), (user(2), other)].into();
    assert_eq!(database.open().await.socket_closures(&nobody).await.unwrap(), both);

    database.tamper("UPDATE closes SET up_to = 9007199254740990 WHERE user_id = 1").await;
    let far = ConnectionId::new(9_007_199_254_740_990).unwrap();
    assert_eq!(store.close_sockets(user(1)).await.unwrap(), far);
    assert_eq!(store.socket_closures(&[user(1)]).await.unwrap(), [(user(1), far)].into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_rise_from_replica_to_replica() {
    let database = PgDatabase::create().await;
    let replicas = [database.open().await, database.open().await];
    let mut last = replicas[0].next_connection().await.unwrap();
    for round in 0..100 {
        let replica = &replicas[round % 2];
        let next = match round % 5 {
            4 => replica.close_sockets(user(1)).await.unwrap(),
            _ => replica.next_connection().await.unwrap(),
        };
        assert!(last < next, "{last}, then {next}");
        last = next;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_rise_over_a_restored_dump() {
    let database = PgDatabase::create().await;
    let store = database.open().await;
    let before = draw(&store, 50).await;
    // Where the dump may have left it, at the latest.
    let dump = format!("SELECT setval('connection_ids', {})", before.get() - 300);
    database.tamper(&dump).await;
    assert!(store.next_connection().await.unwrap() < before, "it has forgotten");
    store.rotate_epoch().await.unwrap();
    assert!(before < store.next_connection().await.unwrap());
    // The same when the server finds out by itself.
    database.tamper(&dump).await;
    database.tamper("UPDATE service SET wal_timeline = wal_timeline + 1").await;
    store.epoch().await.unwrap();
    assert!(before < store.next_connection().await.unwrap());
    // And where the clock is behind, nothing goes back.
    let ahead = before.get() + 1_000_000_000_000;
    database.tamper(&format!("SELECT setval('connection_ids', {ahead})")).await;
    store.rotate_epoch().await.unwrap();
    assert!(store.next_connection().await.unwrap().get() > ahead);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_id_is_drawn_twice_while_the_epoch_is_rotated() {
    let database = PgDatabase::create().await;
    let (store, other) = (database.open().await, database.open().await);
    let rotating = tokio::spawn(async move {
        for _ in 0..100 {
            let (one, two) = tokio::join!(other.rotate_epoch(), other.rotate_epoch());
            one.unwrap();
            two.unwrap();
        }
    });
    draw(&store, 200).await;
    rotating.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_rise_over_a_restored_file() {
    let database = SqliteFile::create().await;
    let before = draw(&database.open().await, 300).await;
    database.tamper("UPDATE service SET next_connection_id = 1").await;
    assert!(before < database.open().await.next_connection().await.unwrap());
}

/// What many replicas note at the same time is written by one of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn last_seen_that_is_known_writes_nothing() {
    let database = PgDatabase::create().await;
    let store = database.open().await;
    // The version of a row changes with every write of it, a lock included.
    let seen = [(user(1), imserver::clock::Timestamp::from_millis(1_000))];
    store.save_last_seen(&seen).await.unwrap();
    let mut connection = postgres::connect(database.url()).await;
    let mut row = async || -> (String, String) {
        sqlx::query_as("SELECT xmin::text, xmax::text FROM last_seen WHERE user_id = 1")
            .fetch_one(&mut connection)
            .await
            .unwrap()
    };
    let written = row().await;
    store.save_last_seen(&seen).await.unwrap();
    assert_eq!(row().await, written);
}
