//! What is written into the outbox with what it tells of, and where what is told since a time begins.

use serde_json::Value;

use super::{
    super::{dialect::Now, history},
    Conn, ids, sql,
};
use crate::{
    clock::Timestamp,
    domain::{ChatId, ConversationId, OutboxId},
    store::{CONVERSATION_CREATED, OutboxCursor},
};

/// Writes an entry, if the outbox is on.
pub(in crate::store) async fn tell(
    connection: &mut Conn,
    kind: &str,
    conversation: Option<ConversationId>,
    chat: Option<ChatId>,
    payload: Option<Value>,
    now: Now,
) -> sqlx::Result<()> {
    sqlx::query(concat!(
        "INSERT INTO outbox (kind, conversation_id, chat_id, payload, created_at)
         SELECT $1, $2, $3, $4, ",
        sql!(now "$5"),
        " WHERE (SELECT outbox_enabled FROM service WHERE id = 1)"
    ))
    .bind(kind)
    .bind(conversation)
    .bind(chat)
    .bind(payload.map(|payload| payload.to_string()))
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}

/// Tells of those of these direct conversations that have begun with chats that are written next: whoever
/// else would write there waits for the counters.
pub(super) async fn tell_begun(
    connection: &mut Conn,
    conversations: &[ConversationId],
    now: Now,
) -> sqlx::Result<()> {
    sqlx::query(concat!(
        "INSERT INTO outbox (kind, conversation_id, created_at) SELECT $1, v.id, ",
        sql!(now "$3"),
        " FROM conversations v WHERE v.id ",
        sql!(in "$2"),
        " AND NOT EXISTS (SELECT 1 FROM chats c WHERE c.conversation_id = v.id)
             AND (SELECT outbox_enabled FROM service WHERE id = 1)
         ORDER BY v.id"
    ))
    .bind(CONVERSATION_CREATED)
    .bind(ids(conversations))
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}

/// The place before the first entry that is kept of those since a time.
pub(in crate::store) async fn since_time(
    connection: &mut Conn,
    since: Timestamp,
    is_sqlite: bool,
) -> sqlx::Result<Option<OutboxCursor>> {
    let first: Option<OutboxId> =
        sqlx::query_scalar("SELECT id FROM outbox WHERE created_at >= $1 ORDER BY id LIMIT 1")
            .bind(since)
            .fetch_optional(&mut *connection)
            .await?;
    let Some(first) = first else { return Ok(None) };
    let epoch = history::epoch(connection).await?;
    Ok(Some(OutboxCursor::before_row(epoch, first.get(), is_sqlite)))
}
