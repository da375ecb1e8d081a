//! Conversations as their members see them, and the chats in them.

use async_trait::async_trait;
use futures_util::FutureExt;

use super::{
    Conn, Db,
    queries::{chats_query, conversations_query},
    sql,
};
use crate::{
    domain::{Chat, ChatId, Conversation, ConversationId, MAX_ID, UserId},
    store::{
        ChatPage, ConversationPage, Conversations, ReadMark, StoreError, Window,
        rows::{MarkRow, cut},
    },
};

#[async_trait]
impl Conversations for Db {
    async fn conversations(
        &self,
        user: UserId,
        before: Option<ChatId>,
        limit: u32,
    ) -> Result<ConversationPage, StoreError> {
        let query = sqlx::query_as(conversations_query!(""))
            .bind(user)
            .bind(before.map_or(i64::MAX, ChatId::get))
            .bind(i64::from(limit) + 1);
        let rows = self.read(|c| query.fetch_all(c).boxed());
        let (conversations, has_more) = cut(rows.await?, limit);
        Ok(ConversationPage { conversations, has_more })
    }

    async fn conversation_with(
        &self,
        user: UserId,
        peer: UserId,
    ) -> Result<Option<Conversation>, StoreError> {
        let query = sqlx::query_as(conversations_query!(
            "AND m.conversation_id = (SELECT id FROM conversations
                     WHERE kind = 'direct' AND low_user = $4 AND high_user = $5)"
        ))
        .bind(user)
        .bind(i64::MAX)
        .bind(1_i64)
        .bind(user.min(peer))
        .bind(user.max(peer));
        self.read(|c| query.fetch_optional(c).boxed()).await
    }

    async fn chats(
        &self,
        user: UserId,
        conversation: ConversationId,
        window: Window,
        limit: u32,
    ) -> Result<Option<ChatPage>, StoreError> {
        self.read(move |c| page(c, user, conversation, window, limit).boxed()).await
    }

    async fn mark_read(
        &self,
        user: UserId,
        conversation: ConversationId,
        up_to: ChatId,
    ) -> Result<Option<ReadMark>, StoreError> {
        self.transaction(move |c| {
            async move {
                let row: Option<MarkRow> = sqlx::query_as(concat!(
                    "SELECT m.read_up_to,
                         CASE WHEN v.kind <> 'direct' THEN NULL
                             WHEN v.low_user = m.user_id THEN v.high_user ELSE v.low_user END
                             AS peer_id,
                         (SELECT max(c.id) FROM chats c WHERE c.conversation_id = v.id) AS last_id
                     FROM members m JOIN conversations v ON v.id = m.conversation_id
                     WHERE m.conversation_id = $1 AND m.user_id = $2 AND m.state = 'member'",
                    sql!(for "NO KEY UPDATE OF m")
                ))
                .bind(conversation)
                .bind(user)
                .fetch_optional(&mut *c)
                .await?;
                let Some(mark) = row.map(|row| row.moved_to(up_to)) else { return Ok(None) };
                if mark.moved {
                    sqlx::query(
                        "UPDATE members SET read_up_to = $3
                         WHERE conversation_id = $1 AND user_id = $2",
                    )
                    .bind(conversation)
                    .bind(user)
                    .bind(mark.up_to)
                    .execute(c)
                    .await?;
                }
                Ok(Some(mark))
            }
            .boxed()
        })
        .await
    }
}

async fn page(
    connection: &mut Conn,
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
    // This and the page need not be of one moment: a user who leaves between them was a member at the call.
    let member: Option<UserId> = sqlx::query_scalar(
        "SELECT user_id FROM members
         WHERE conversation_id = $1 AND user_id = $2 AND state = 'member'",
    )
    .bind(conversation)
    .bind(user)
    .fetch_optional(&mut *connection)
    .await?;
    if member.is_none() {
        return Ok(None);
    }
    let (statement, bound, is_backwards) = match window {
        Window::Newest => (BACKWARDS, MAX_ID + 1, true),
        Window::Before(id) => (BACKWARDS, id.get(), true),
        Window::After(id) => (FORWARDS, id.get(), false),
        Window::Oldest => (FORWARDS, 0, false),
    };
    let rows: Vec<Chat> = sqlx::query_as(statement)
        .bind(conversation)
        .bind(bound)
        .bind(i64::from(limit) + 1)
        .fetch_all(connection)
        .await?;
    let (mut chats, has_more) = cut(rows, limit);
    if is_backwards {
        chats.reverse();
    }
    Ok(Some(ChatPage { chats, has_more }))
}
