//! Work that one replica at a time does.

use std::{sync::Arc, time::Duration};

use imserver::{domain::ReplicaId, jobs::Job, store::Store};
use tokio::task::JoinSet;

use super::Database;

const LEASE: Duration = Duration::from_mins(5);
/// Long after every lease.
const LATER: &str = "UPDATE jobs SET until = until - 3600000";

fn replica(id: i64) -> ReplicaId {
    ReplicaId::new(id).unwrap()
}

async fn take(store: &dyn Store, name: &str, by: i64) -> Option<String> {
    store.take_job(name, replica(by), LEASE).await.unwrap()
}

async fn save(store: &dyn Store, name: &str, by: i64, progress: &str) -> bool {
    store.save_job(name, replica(by), progress, LEASE).await.unwrap()
}

pub(super) async fn work_is_done_by_one_replica_at_a_time<D: Database>() {
    let database = D::create().await;
    let (store, other) = (database.open().await, database.open().await);
    assert!(!save(&*store, "sweep", 1, "x").await, "nobody has it");
    assert_eq!(take(&*store, "sweep", 1).await.as_deref(), Some(""));
    assert_eq!(take(&*other, "sweep", 2).await, None);
    assert!(!save(&*other, "sweep", 2, "stolen").await);
    assert_eq!(take(&*other, "wipe", 2).await.as_deref(), Some(""), "another work");
    assert!(save(&*store, "sweep", 1, "as far as 张三").await);
    assert_eq!(take(&*store, "sweep", 1).await.as_deref(), Some("as far as 张三"));

    // It says nothing more: another goes on where it was, and it finds out.
    database.tamper(LATER).await;
    assert_eq!(take(&*other, "sweep", 2).await.as_deref(), Some("as far as 张三"));
    assert_eq!(take(&*store, "sweep", 1).await, None);
    assert!(!save(&*store, "sweep", 1, "late").await);
    assert!(save(&*other, "sweep", 2, "further").await);
    // Late, but nobody has taken it meanwhile.
    database.tamper(LATER).await;
    assert!(save(&*other, "sweep", 2, "and further").await);
    assert_eq!(take(&*store, "sweep", 1).await, None, "saving keeps it");
    database.tamper(LATER).await;
    assert_eq!(take(&*other, "sweep", 2).await.as_deref(), Some("and further"));
    assert_eq!(take(&*store, "sweep", 1).await, None, "and so does taking it again");
}

pub(super) async fn of_replicas_that_ask_at_once_one_has_the_work<D: Database>() {
    let database = D::create().await;
    let mut stores = Vec::new();
    for _ in 0..8 {
        stores.push(database.open().await);
    }
    for round in 0..10 {
        // Now and then the work is new.
        let name = format!("work {}", round / 5);
        let mut calls = JoinSet::new();
        for (store, by) in stores.iter().zip(1..) {
            let (store, name): (Arc<dyn Store>, _) = (Arc::clone(store), name.clone());
            calls.spawn(async move { take(&*store, &name, round * 10 + by).await });
        }
        let taken = calls.join_all().await.into_iter().flatten().count();
        assert_eq!(taken, 1, "in round {round}");
        database.tamper(LATER).await;
    }
}

pub(super) async fn work_that_rests_is_taken_by_nobody<D: Database>() {
    let database = D::create().await;
    let (store, other) = (database.open().await, database.open().await);
    let mut job = Job::new(store, "sweep", LEASE);
    let mut others = Job::new(other, "sweep", LEASE);
    assert_eq!(job.take().await.unwrap().as_deref(), Some(""));
    assert!(job.keep("not yet").await.unwrap());
    assert_eq!(
        job.take().await.unwrap().as_deref(),
        Some(""),
        "a lease that is new is not renewed"
    );
    assert!(job.save("7").await.unwrap());
    assert!(!others.save("8").await.unwrap());
    job.rest("9", LEASE).await.unwrap();
    assert_eq!((job.take().await.unwrap(), others.take().await.unwrap()), (None, None));
    database.tamper(LATER).await;
    assert_eq!(others.take().await.unwrap().as_deref(), Some("9"));
    assert_eq!(job.take().await.unwrap(), None);
    // A third of a lease is soon over.
    let mut short = Job::new(database.open().await, "short", Duration::ZERO);
    assert_eq!(short.take().await.unwrap().as_deref(), Some(""));
    assert!(short.keep("kept").await.unwrap());
    assert_eq!(short.take().await.unwrap().as_deref(), Some("kept"));
}

pub(super) async fn work_can_be_moved_back<D: Database>() {
    let database = D::create().await;
    let store = database.open().await;
    assert_eq!(store.job_progress("read").await.unwrap(), None);
    assert!(!store.move_job("read", "", "0").await.unwrap(), "nobody ever took it");
    assert_eq!(take(&*store, "read", 1).await.as_deref(), Some(""));
    assert!(save(&*store, "read", 1, "17").await);
    assert!(!store.move_job("read", "16", "3").await.unwrap(), "it has come further");
    assert!(store.move_job("read", "17", "3").await.unwrap());
    assert_eq!(store.job_progress("read").await.unwrap().as_deref(), Some("3"));
    // Whoever had it has it no more, and may take it as any other.
    assert!(!save(&*store, "read", 1, "18").await);
    assert_eq!(take(&*store, "read", 1).await.as_deref(), Some("3"));
    assert_eq!(take(&*store, "read", 2).await, None);
}
