//! The database as a whole.

use super::Database;

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
