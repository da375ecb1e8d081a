//! The database as a whole.

use imserver::domain::ReplicaId;

use super::{Database, populated, send, timeline};

pub(super) async fn the_epoch_stays_until_it_is_rotated<D: Database>() {
    let database = D::create().await;
    let store = database.open().await;
    let epoch = store.epoch().await.unwrap();
    assert_eq!(store.epoch().await.unwrap(), epoch);
    let replica = database.open().await;
    assert_eq!(replica.epoch().await.unwrap(), epoch);
    drop(replica);

    let rotated = store.rotate_epoch().await.unwrap();
    assert_ne!(rotated, epoch);
    assert_eq!(store.epoch().await.unwrap(), rotated);
    drop(store);
    assert_eq!(database.open().await.epoch().await.unwrap(), rotated);

    let another = D::create().await;
    assert_ne!(another.open().await.epoch().await.unwrap(), rotated, "a history of its own");
}

pub(super) async fn the_database_answers<D: Database>() {
    let database = D::create().await;
    database.open().await.ping().await.unwrap();
}

/// Going back after an upgrade, and a start of the version before while a new one rolls.
pub(super) async fn the_version_before_opens_a_newer_schema<D: Database>() {
    let (database, _store) = populated::<D>(2).await;
    database
        .tamper(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (9999, 'of a newer version', true, '', 0)",
        )
        .await;
    database.tamper("ALTER TABLE chats ADD COLUMN of_a_newer_version TEXT").await;
    let store = database.open().await;
    send(&*store, 1, 2, "x").await;
}

pub(super) async fn a_trial_leaves_nothing<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    for _ in 0..2 {
        store.try_writing().await.unwrap();
    }
    let first = send(&*store, 1, 2, "x").await;
    assert_eq!(timeline(&*store, 1).await, [(1, first.chat.id)]);
}

pub(super) async fn replicas_that_can_be_heard_find_each_other<D: Database>() {
    let database = D::create().await;
    let store = database.open().await;
    let [one, two, three] = [1, 2, 3].map(|id| ReplicaId::new(id).unwrap());
    assert!(store.note_replica(one, true).await.unwrap().is_empty(), "itself it knows");
    let found = store.note_replica(two, true).await.unwrap();
    assert_eq!(found.keys().collect::<Vec<_>>(), [&one]);
    let first = found[&one];
    // Each time it says so is later than the one before, on whatever clock.
    store.note_replica(one, true).await.unwrap();
    let again = store.note_replica(three, false).await.unwrap();
    assert!(again.len() == 2 && again[&one] > first, "{again:?}");
    // One that cannot be heard is nobody to look for, until it can.
    assert_eq!(store.note_replica(one, true).await.unwrap().keys().collect::<Vec<_>>(), [&two]);
    store.note_replica(three, true).await.unwrap();
    assert_eq!(store.note_replica(one, true).await.unwrap().len(), 2);

    let ago = |secs: u32| {
        format!("UPDATE replicas SET seen_at = seen_at - {secs} * 1000 WHERE id <> {one}")
    };
    database.tamper(&ago(61)).await;
    assert!(store.note_replica(one, true).await.unwrap().is_empty(), "they have died");
    database.tamper(&ago(600)).await;
    store.note_replica(one, true).await.unwrap();
    database.tamper(&ago(3_600).replace('-', "+")).await;
    assert!(store.note_replica(one, true).await.unwrap().is_empty(), "they are forgotten");
}
