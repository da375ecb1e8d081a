//! The outbox in SQLite, which has one writer: rows become visible in the order of their ids.

use sqlx::{Sqlite, SqlitePool, Transaction};

use super::{SqliteStore, epoch};
use crate::{
    clock::Timestamp,
    domain::ChatId,
    store::{
        OutboxCursor, OutboxPage,
        outbox::{CHAT_CREATED, OutboxRow, Place},
        rows::{all, cut},
    },
};

pub(super) async fn switch(store: SqliteStore, on: bool) -> sqlx::Result<()> {
    sqlx::query("UPDATE service SET outbox_enabled = ?1 WHERE id = 1 AND outbox_enabled <> ?1")
        .bind(on)
        .execute(&store.writer)
        .await?;
    Ok(())
}

/// Tells of the chats of a batch, which have these ids and those between them.
pub(super) async fn tell(
    tx: &mut Transaction<'static, Sqlite>,
    first: ChatId,
    last: ChatId,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO outbox (kind, conversation_id, chat_id, created_at)
         SELECT ?1, conversation_id, id, created_at FROM chats WHERE id BETWEEN ?2 AND ?3
         ORDER BY id",
    )
    .bind(CHAT_CREATED)
    .bind(first.get())
    .bind(last.get())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn read(
    reader: &SqlitePool,
    after: Option<&OutboxCursor>,
    limit: u32,
) -> sqlx::Result<OutboxPage> {
    let mut tx = reader.begin().await?;
    let epoch = epoch(&mut *tx).await?;
    let last = match after.filter(|cursor| cursor.epoch == epoch).map(|cursor| &cursor.place) {
        None => 0,
        Some(Place::After(last)) => *last,
        Some(Place::Between(_) | Place::Within(_)) => {
            let problem = "the cursor is of another kind of database".to_owned();
            return Err(sqlx::Error::InvalidArgument(problem));
        }
    };
    let limit = limit.max(1);
    let rows: Vec<OutboxRow> = sqlx::query_as(
        "SELECT id, kind, conversation_id, chat_id, payload, created_at FROM outbox
         WHERE id > ?1 ORDER BY id LIMIT ?2",
    )
    .bind(last)
    .bind(i64::from(limit) + 1)
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;
    let (rows, has_more) = cut(rows, limit);
    let place = Place::After(rows.last().map_or(last, |row| row.id));
    Ok(OutboxPage { entries: all(rows)?, cursor: OutboxCursor { epoch, place }, has_more })
}

pub(super) async fn drop_before(
    store: SqliteStore,
    before: Timestamp,
    limit: u32,
) -> sqlx::Result<u64> {
    let dropped = sqlx::query(
        "DELETE FROM outbox WHERE id IN (
             SELECT id FROM (SELECT id, created_at FROM outbox ORDER BY id LIMIT ?2)
             WHERE created_at < ?1)",
    )
    .bind(before.as_millis())
    .bind(limit)
    .execute(&store.writer)
    .await?;
    Ok(dropped.rows_affected())
}
