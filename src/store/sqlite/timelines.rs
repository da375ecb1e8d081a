//! What happened to a user, in order.

use std::collections::HashMap;

use sqlx::{SqliteExecutor, SqlitePool};

use super::{SqliteStore, lists::ids};
use crate::{
    domain::{Chat, Seq, UserId},
    store::{
        Bounds, EventPage,
        latest::latest_chats_query,
        rows::{ChatRow, all, chats_query, event, event_page, id, seq},
    },
};

pub(super) async fn bounds(reader: impl SqliteExecutor<'_>, user: UserId) -> sqlx::Result<Bounds> {
    let row: Option<(i64, i64)> =
        sqlx::query_as("SELECT first_seq, last_seq FROM timelines WHERE user_id = ?1")
            .bind(user.get())
            .fetch_optional(reader)
            .await?;
    let Some((first, last)) = row else { return Ok(Bounds::EMPTY) };
    Ok(Bounds { first: seq(first)?, last: seq(last)? })
}

pub(super) async fn last_seqs(
    reader: &SqlitePool,
    users: &[UserId],
) -> sqlx::Result<HashMap<UserId, Seq>> {
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT user_id, last_seq FROM timelines
         WHERE user_id IN (SELECT value FROM json_each(?1))",
    )
    .bind(ids(users))
    .fetch_all(reader)
    .await?;
    rows.into_iter().map(|(user, last)| Ok((id(user)?, seq(last)?))).collect()
}

pub(super) async fn events(
    reader: &SqlitePool,
    user: UserId,
    since: Seq,
    limit: u32,
) -> sqlx::Result<EventPage> {
    let mut tx = reader.begin().await?;
    let bounds = bounds(&mut *tx, user).await?;
    if since.next() < bounds.first || since >= bounds.last {
        return Ok(EventPage { bounds, events: Vec::new() });
    }
    let rows = sqlx::query(chats_query!(
        "e.seq, e.kind AS event, e.chat_id AS event_chat, e.payload,",
        "FROM timeline_events e LEFT JOIN chats c ON c.id = e.chat_id",
        "WHERE e.user_id = ?1 AND e.seq > ?2 AND e.seq <= ?3 ORDER BY e.seq LIMIT ?4"
    ))
    .bind(user.get())
    .bind(since.get())
    .bind(bounds.last.get())
    .bind(limit)
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;

    let events = rows.iter().map(event).collect::<sqlx::Result<_>>()?;
    event_page(user, bounds, since, limit, events)
}

pub(super) async fn trim(store: SqliteStore, user: UserId, up_to: Seq) -> sqlx::Result<()> {
    let mut tx = store.begin().await?;
    sqlx::query(
        "UPDATE timelines SET first_seq = max(first_seq, min(?2, last_seq) + 1) WHERE user_id = ?1",
    )
    .bind(user.get())
    .bind(up_to.get())
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "DELETE FROM timeline_events WHERE user_id = ?1
             AND seq < (SELECT first_seq FROM timelines WHERE user_id = ?1)",
    )
    .bind(user.get())
    .execute(&mut *tx)
    .await?;
    tx.commit().await
}

pub(super) async fn latest_chats(
    reader: &SqlitePool,
    user: UserId,
    limit: u32,
) -> sqlx::Result<Vec<Chat>> {
    let rows: Vec<ChatRow> = sqlx::query_as(latest_chats_query!(
        "chats x WHERE x.conversation_id = n.conversation_id
             AND x.id >= max((SELECT first_id FROM bound), coalesce((
                 SELECT y.id FROM chats y WHERE y.conversation_id = n.conversation_id
                 ORDER BY y.id DESC LIMIT 1 OFFSET $2 - 1
             ), 0))"
    ))
    .bind(user.get())
    .bind(limit)
    .fetch_all(reader)
    .await?;
    all(rows)
}
