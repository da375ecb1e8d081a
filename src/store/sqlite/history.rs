//! The history of this file: named once, and anew by an operator.

use async_trait::async_trait;
use futures_util::FutureExt;
use sqlx::SqliteConnection;

use super::SqliteStore;
use crate::{
    domain::{Epoch, UserId},
    store::{History, StoreError},
};

#[async_trait]
impl History for SqliteStore {
    async fn epoch(&self) -> Result<Epoch, StoreError> {
        self.read(|c| epoch(c).boxed()).await
    }

    async fn rotate_epoch(&self) -> Result<Epoch, StoreError> {
        let epoch = Epoch::random();
        let query = sqlx::query("UPDATE service SET epoch = ?1 WHERE id = 1").bind(epoch);
        self.write(|c| query.execute(c).boxed()).await?;
        Ok(epoch)
    }
}

pub(super) async fn epoch(connection: &mut SqliteConnection) -> sqlx::Result<Epoch> {
    sqlx::query_scalar("SELECT epoch FROM service WHERE id = 1").fetch_one(connection).await
}

/// Names the history of a file that has no name yet.
pub(super) async fn begin(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO service (id, epoch, next_user_id, last_chat_id, next_connection_id)
         VALUES (1, ?1, ?2, 0, 1)
         ON CONFLICT (id) DO NOTHING",
    )
    .bind(Epoch::random())
    .bind(UserId::FIRST_REGISTERED)
    .execute(connection)
    .await?;
    Ok(())
}
