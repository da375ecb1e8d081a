//! Conversations as their members see them, and the chats in them.

use sqlx::{Connection, PgConnection};

use crate::{
    domain::{ChatId, Conversation, ConversationId, MAX_ID, UserId},
    store::{
        ChatPage, ConversationPage, ReadMark, Window,
        rows::{ChatRow, ConversationRow, MarkRow, all, chats_query, conversations_query, cut},
    },
};

pub(super) async fn page(
    connection: &mut PgConnection,
    user: UserId,
    before: Option<ChatId>,
    limit: u32,
) -> sqlx::Result<ConversationPage> {
    let rows: Vec<ConversationRow> = sqlx::query_as(conversations_query!(""))
        .bind(user.get())
        .bind(before.map_or(i64::MAX, ChatId::get))
        .bind(i64::from(limit) + 1)
        .fetch_all(connection)
        .await?;
    let (rows, has_more) = cut(rows, limit);
    Ok(ConversationPage { conversations: all(rows)?, has_more })
}

pub(super) async fn with(
    connection: &mut PgConnection,
    user: UserId,
    peer: UserId,
) -> sqlx::Result<Option<Conversation>> {
    let row: Option<ConversationRow> = sqlx::query_as(conversations_query!(
        "AND m.conversation_id = (SELECT id FROM conversations
             WHERE kind = 'direct' AND low_user = $4 AND high_user = $5)"
    ))
    .bind(user.get())
    .bind(i64::MAX)
    .bind(1_i64)
    .bind(user.min(peer).get())
    .bind(user.max(peer).get())
    .fetch_optional(connection)
    .await?;
    row.map(Conversation::try_from).transpose()
}

pub(super) async fn chats(
    connection: &mut PgConnection,
    user: UserId,
    conversation: ConversationId,
    window: Window,
    limit: u32,
) -> sqlx::Result<Option<ChatPage>> {
    const BACKWARDS: &str = chats_query!(
        "",
        "FROM chats c",
        "WHERE c.conversation_id = $1 AND c.id < $2 ORDER BY c.id DESC LIMIT $3"
    );
    const FORWARDS: &str = chats_query!(
        "",
        "FROM chats c",
        "WHERE c.conversation_id = $1 AND c.id > $2 ORDER BY c.id LIMIT $3"
    );
    // This and the page need not be of one moment: who leaves between them was a member when it was asked.
    let member: Option<i64> = sqlx::query_scalar(
        "SELECT conversation_id FROM members
             WHERE conversation_id = $1 AND user_id = $2 AND state = 'member'",
    )
    .bind(conversation.get())
    .bind(user.get())
    .fetch_optional(&mut *connection)
    .await?;
    if member.is_none() {
        return Ok(None);
    }
    let (statement, bound, backwards) = match window {
        Window::Newest => (BACKWARDS, MAX_ID + 1, true),
        Window::Before(id) => (BACKWARDS, id.get(), true),
        Window::After(id) => (FORWARDS, id.get(), false),
        Window::Oldest => (FORWARDS, 0, false),
    };
    let rows: Vec<ChatRow> = sqlx::query_as(statement)
        .bind(conversation.get())
        .bind(bound)
        .bind(i64::from(limit) + 1)
        .fetch_all(connection)
        .await?;
    let (mut rows, has_more) = cut(rows, limit);
    if backwards {
        rows.reverse();
    }
    Ok(Some(ChatPage { chats: all(rows)?, has_more }))
}

pub(super) async fn mark_read(
    connection: &mut PgConnection,
    user: UserId,
    conversation: ConversationId,
    up_to: ChatId,
) -> sqlx::Result<Option<ReadMark>> {
    let mut tx = connection.begin().await?;
    let row: Option<MarkRow> = sqlx::query_as(
        "SELECT m.read_up_to,
             CASE WHEN v.kind <> 'direct' THEN NULL
                 WHEN v.low_user = m.user_id THEN v.high_user ELSE v.low_user END AS peer_id,
             (SELECT max(c.id) FROM chats c WHERE c.conversation_id = v.id) AS last_id
         FROM members m JOIN conversations v ON v.id = m.conversation_id
         WHERE m.conversation_id = $1 AND m.user_id = $2 AND m.state = 'member'
         FOR NO KEY UPDATE OF m",
    )
    .bind(conversation.get())
    .bind(user.get())
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else {
        tx.rollback().await?;
        return Ok(None);
    };
    let mark = row.moved_to(up_to)?;
    if mark.moved {
        sqlx::query(
            "UPDATE members SET read_up_to = $3 WHERE conversation_id = $1 AND user_id = $2",
        )
        .bind(conversation.get())
        .bind(user.get())
        .bind(mark.up_to.map(ChatId::get))
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await?;
    Ok(Some(mark))
}
