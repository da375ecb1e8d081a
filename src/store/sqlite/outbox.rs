//! The outbox in SQLite, which has one writer: rows become visible in the order of their ids.

use async_trait::async_trait;
use futures_util::FutureExt;
use sqlx::{Connection, SqliteConnection};

use super::{SqliteStore, dialect::ids, history, shared::since_time};
use crate::{
    clock::Timestamp,
    domain::OutboxId,
    store::{
        Outbox, OutboxCursor, OutboxEntry, OutboxPage, StoreError, outbox_cursor::Place, rows::cut,
    },
};

#[async_trait]
impl Outbox for SqliteStore {
    async fn switch_outbox(&self, on: bool) -> Result<(), StoreError> {
        let query = sqlx::query(
            "UPDATE service SET outbox_enabled = ?1 WHERE id = 1 AND outbox_enabled <> ?1",
        )
        .bind(on);
        self.write(|c| query.execute(c).boxed()).await?;
        Ok(())
    }

    async fn read_outbox(
        &self,
        after: Option<&OutboxCursor>,
        limit: u32,
    ) -> Result<OutboxPage, StoreError> {
        let after = after.cloned();
        self.read(move |c| read(c, after, limit.max(1)).boxed()).await
    }

    async fn outbox_entries(&self, wanted: &[OutboxId]) -> Result<Vec<OutboxEntry>, StoreError> {
        let query = sqlx::query_as(
            "SELECT id, kind, conversation_id, chat_id, payload, created_at FROM outbox
             WHERE id IN (SELECT value FROM json_each(?1)) ORDER BY id",
        )
        .bind(ids(wanted));
        self.read(|c| query.fetch_all(c).boxed()).await
    }

    async fn outbox_since(&self, since: Timestamp) -> Result<Option<OutboxCursor>, StoreError> {
        self.read(move |c| since_time(c, since, true).boxed()).await
    }

    async fn drop_outbox(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let query = sqlx::query(
            "DELETE FROM outbox WHERE id IN (
                     SELECT id FROM (SELECT id, created_at FROM outbox ORDER BY id LIMIT ?2)
                     WHERE created_at < ?1)",
        )
        .bind(before)
        .bind(limit);
        let dropped = self.write(|c| query.execute(c).boxed());
        Ok(dropped.await?.rows_affected())
    }
}

async fn read(
    connection: &mut SqliteConnection,
    after: Option<OutboxCursor>,
    limit: u32,
) -> sqlx::Result<OutboxPage> {
    let mut tx = connection.begin().await?;
    let epoch = history::epoch(&mut tx).await?;
    let last = match after.filter(|cursor| cursor.epoch == epoch).map(|cursor| cursor.place) {
        None => 0,
        Some(Place::After(last)) => last,
        Some(Place::Between(_) | Place::Within(_)) => {
            let problem = "the cursor is of another kind of database".to_owned();
            return Err(sqlx::Error::InvalidArgument(problem));
        }
    };
    let rows: Vec<OutboxEntry> = sqlx::query_as(
        "SELECT id, kind, conversation_id, chat_id, payload, created_at FROM outbox
         WHERE id > ?1 ORDER BY id LIMIT ?2",
    )
    .bind(last)
    .bind(i64::from(limit) + 1)
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;
    let (entries, has_more) = cut(rows, limit);
    let place = Place::After(entries.last().map_or(last, |entry| entry.id.get()));
    Ok(OutboxPage { entries, cursor: OutboxCursor { epoch, place }, has_more })
}
