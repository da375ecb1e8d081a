//! What happened to a user, in order.

use std::collections::HashMap;

use sqlx::{PgConnection, Row};

use super::{history, rows::ids};
use crate::{
    domain::{Chat, Seq, UserId},
    store::{
        Bounds, EventPage, Standing,
        latest::latest_chats_query,
        rows::{ChatRow, all, chats_query, event, event_page, id, seq},
    },
};

pub(super) async fn bounds(connection: &mut PgConnection, user: UserId) -> sqlx::Result<Bounds> {
    let row: Option<(i64, i64)> =
        sqlx::query_as("SELECT first_seq, last_seq FROM timelines WHERE user_id = $1")
            .bind(user.get())
            .fetch_optional(connection)
            .await?;
    let Some((first, last)) = row else { return Ok(Bounds::EMPTY) };
    Ok(Bounds { first: seq(first)?, last: seq(last)? })
}

/// In the order of the users.
pub(super) async fn standings(
    connection: &mut PgConnection,
    users: Vec<UserId>,
) -> sqlx::Result<Vec<Standing>> {
    let rows: Vec<(i64, i64, i64)> = sqlx::query_as(
        "SELECT user_id, first_seq, last_seq FROM timelines WHERE user_id = ANY($1)",
    )
    .bind(ids(&users))
    .fetch_all(&mut *connection)
    .await?;
    let bounds = rows.into_iter().map(|(user, first, last)| {
        Ok((id::<UserId>(user)?, Bounds { first: seq(first)?, last: seq(last)? }))
    });
    let bounds = bounds.collect::<sqlx::Result<HashMap<_, _>>>()?;
    let epoch = history::epoch(connection).await?;
    let of = |user| bounds.get(user).copied().unwrap_or(Bounds::EMPTY);
    Ok(users.iter().map(|user| Standing { epoch, bounds: of(user) }).collect())
}

pub(super) async fn last_seqs(
    connection: &mut PgConnection,
    users: Vec<UserId>,
) -> sqlx::Result<HashMap<UserId, Seq>> {
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT user_id, last_seq FROM timelines WHERE user_id = ANY($1) AND last_seq > 0",
    )
    .bind(ids(&users))
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(|(user, last)| Ok((id(user)?, seq(last)?))).collect()
}

/// One statement, so one moment: neither an append nor a trim comes between bounds and events.
pub(super) async fn events(
    connection: &mut PgConnection,
    user: UserId,
    since: Seq,
    limit: u32,
) -> sqlx::Result<EventPage> {
    let rows = sqlx::query(chats_query!(
        "b.first_seq, b.last_seq, e.seq, e.kind AS event, e.chat_id AS event_chat, e.payload,",
        "FROM timelines b
         LEFT JOIN LATERAL (
             SELECT x.seq, x.kind, x.chat_id, x.payload FROM timeline_events x
             WHERE x.user_id = b.user_id AND x.seq > $2 AND x.seq <= b.last_seq
             ORDER BY x.seq LIMIT $3
         ) e ON b.first_seq <= $2 + 1
         LEFT JOIN chats c ON c.id = e.chat_id",
        "WHERE b.user_id = $1 ORDER BY e.seq"
    ))
    .bind(user.get())
    .bind(since.get())
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    let Some(first) = rows.first() else {
        return Ok(EventPage { bounds: Bounds::EMPTY, events: Vec::new() });
    };
    let bounds =
        Bounds { first: seq(first.try_get("first_seq")?)?, last: seq(first.try_get("last_seq")?)? };
    if since.next() < bounds.first || since >= bounds.last {
        return Ok(EventPage { bounds, events: Vec::new() });
    }
    // Bounds without an event are one row, too.
    let none = first.try_get::<Option<i64>, _>("seq")?.is_none();
    let rows = if none { &[] } else { rows.as_slice() };
    let events = rows.iter().map(event).collect::<sqlx::Result<_>>()?;
    event_page(user, bounds, since, limit, events)
}

/// One statement, so that the counter is locked for nothing but the work of the database.
pub(super) async fn trim(
    connection: &mut PgConnection,
    user: UserId,
    up_to: Seq,
) -> sqlx::Result<()> {
    sqlx::query(
        "WITH trimmed AS (
             UPDATE timelines SET first_seq = greatest(first_seq, least($2, last_seq) + 1)
             WHERE user_id = $1 RETURNING first_seq
         )
         DELETE FROM timeline_events
         WHERE user_id = $1 AND seq < (SELECT first_seq FROM trimmed)",
    )
    .bind(user.get())
    .bind(up_to.get())
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn latest_chats(
    connection: &mut PgConnection,
    user: UserId,
    limit: u32,
) -> sqlx::Result<Vec<Chat>> {
    // A limit that the planner does not know counts as small, so it walks the index from the end. It would
    // rather read and sort the whole of a conversation that it takes for short.
    let rows: Vec<ChatRow> = sqlx::query_as(latest_chats_query!(
        "LATERAL (
             SELECT y.id FROM chats y
             WHERE y.conversation_id = n.conversation_id
                 AND y.id >= (SELECT first_id FROM bound)
             ORDER BY y.id DESC LIMIT (SELECT $2)
         ) x"
    ))
    .bind(user.get())
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    all(rows)
}
