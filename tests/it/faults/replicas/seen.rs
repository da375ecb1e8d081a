//! When somebody was last seen, noted by one replica of all that hear of it.

use std::{sync::Arc, time::Duration};

use imserver::{
    bus::local::LocalBroker,
    clock::{Clock, Timestamp},
    delivery::{Delivery, announce},
    domain::UserId,
    media::MediaLinks,
    presence::{Transition, local::LocalPresence},
    store::{Store, sqlite::SqliteStore},
};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use super::{Replicas, replicas};
use crate::harness::{eventually, postgres};

/// Counts the rows that are tried to be written.
const COUNT: &str = "
CREATE TABLE tried (user_id BIGINT);
CREATE FUNCTION count_try() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO tried VALUES (NEW.user_id); RETURN NEW; END $$;
CREATE TRIGGER count_try BEFORE INSERT ON last_seen FOR EACH ROW EXECUTE FUNCTION count_try()";

#[tokio::test]
async fn a_transition_is_written_once_of_all_replicas() {
    let Replicas { a, b, database } = replicas().await;
    postgres::execute(&database, COUNT).await;
    let mut people = Vec::new();
    for name in ["张三", "李四", "王五"] {
        people.push(a.person(name).await);
    }
    for person in &people {
        drop((person.online().await, person.at(&b).online().await));
    }
    let mut connection = postgres::connect(&database).await;
    let mut tried = async || -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM tried").fetch_one(&mut connection).await.unwrap()
    };
    let begun = std::time::Instant::now();
    while tried().await < 3 {
        assert!(begun.elapsed() < crate::harness::DEADLINE, "not written");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Longer than the others wait for the one that announced it.
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert_eq!(tried().await, 3);
}

fn user(id: i64) -> UserId {
    UserId::new(id).unwrap()
}

#[tokio::test]
async fn what_another_replica_announced_is_noted_though_that_one_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("imserver.db");
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&path, Clock::system()).await.unwrap());
    let (bus, _incoming) = LocalBroker::default().connect();
    let (presence, _) = LocalPresence::new(Clock::system());
    let delivery = Delivery::start(
        Arc::clone(&store) as _,
        Arc::new(bus),
        Arc::new(presence),
        MediaLinks::new(String::new(), Clock::system()),
        TaskTracker::new(),
    );
    let (sender, transitions) = mpsc::channel(16);
    tokio::spawn(announce(delivery.await.unwrap(), transitions));
    let at = Timestamp::from_millis(1_000);
    let gone =
        |who, is_ours| Transition { user: user(who), online: false, at, version: 1, is_ours };
    sender.send(gone(1, false)).await.unwrap();
    sender.send(gone(2, true)).await.unwrap();
    sender.send(Transition { online: true, ..gone(3, true) }).await.unwrap();
    let all = [1, 2, 3].map(user);
    eventually("our own is noted", || async { !store.last_seen(&all).await.unwrap().is_empty() })
        .await;
    assert_eq!(store.last_seen(&all).await.unwrap(), [(user(2), at)].into(), "the others wait");
    let both = [(user(1), at), (user(2), at)].into();
    eventually("the other's too", || async { store.last_seen(&all).await.unwrap() == both }).await;
}
