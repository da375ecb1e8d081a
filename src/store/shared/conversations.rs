//! Conversations as their members see them, and the chats in them.

use async_trait::async_trait;
use futures_util::FutureExt;
use sqlx::FromRow;

use super::{
    Conn, Db,
    queries::{chats_query, conversation_version, conversations_query, own_columns},
    sql,
};
use crate::{
    domain::{Chat, ChatId, Conversation, ConversationId, MAX_ID, UserId},
    store::{
        ChangePage, ChatPage, ConversationPage, Conversations, ReadMark, StoreError, Window,
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
        let query = sqlx::query_as(conversations_query!(
            "AND m.state = 'member'",
            "AND last_id > hidden_up_to AND pinned_at IS NULL"
        ))
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
                     WHERE kind = 'direct' AND low_user = $4 AND high_user = $5)",
            ""
        ))
        .bind(user)
        .bind(i64::MAX)
        .bind(1_i64)
        .bind(user.min(peer))
        .bind(user.max(peer));
        self.read(|c| query.fetch_optional(c).boxed()).await
    }

    async fn pinned(&self, user: UserId, limit: u32) -> Result<Vec<Conversation>, StoreError> {
        let query = sqlx::query_as(conversations_query!(
            "AND m.state = 'member' AND m.pinned_at IS NOT NULL",
            "AND last_id > hidden_up_to"
        ))
        .bind(user)
        .bind(i64::MAX)
        .bind(i64::from(limit));
        self.read(|c| query.fetch_all(c).boxed()).await
    }

    async fn unread_total(&self, user: UserId) -> Result<u32, StoreError> {
        let query = sqlx::query_scalar(concat!(
            "SELECT CAST(",
            sql!(least "coalesce(sum(unread), 0), 100"),
            " AS BIGINT) FROM (
                 SELECT (SELECT count(*) FROM (
                     SELECT 1 FROM chats x WHERE x.conversation_id = m.conversation_id
                         AND x.id > coalesce(m.read_up_to, 0)
                         AND x.id > m.visible_after AND x.id > m.cleared_up_to
                         AND x.sender_id <> $1 AND x.kind <> 'system' AND x.state IS NULL
                         AND NOT EXISTS (SELECT 1 FROM hidden_chats h
                             WHERE h.user_id = $1 AND h.chat_id = x.id)
                     LIMIT 100
                 ) counted) AS unread
                 FROM members m WHERE m.user_id = $1 AND m.state = 'member' AND NOT m.muted
                     AND m.hidden_up_to < (SELECT max(x.id) FROM chats x
                         WHERE x.conversation_id = m.conversation_id)
             ) of_each"
        ))
        .bind(user);
        let total: i64 = self.read(|c| query.fetch_one(c).boxed()).await?;
        u32::try_from(total).map_err(|_| StoreError::Corrupt("a count is negative".to_owned()))
    }

    async fn conversation(
        &self,
        user: UserId,
        id: ConversationId,
    ) -> Result<Option<Conversation>, StoreError> {
        let query = sqlx::query_as(conversations_query!("AND m.conversation_id = $4", ""))
            .bind(user)
            .bind(i64::MAX)
            .bind(1_i64)
            .bind(id);
        self.read(|c| query.fetch_optional(c).boxed()).await
    }

    async fn changes(
        &self,
        user: UserId,
        conversation: ConversationId,
        since: i64,
        limit: u32,
    ) -> Result<Option<ChangePage>, StoreError> {
        self.read(move |c| changes(c, user, conversation, since, limit).boxed()).await
    }

    async fn chats(
        &self,
        user: UserId,
        conversation: ConversationId,
        window: Window,
        limit: u32,
    ) -> Result<Option<ChatPage>, StoreError> {
        self.read(move |c| page(c, Some(user), conversation, window, limit).boxed()).await
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
                    "SELECT m.read_up_to, m.marked_unread,
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

/// Which chats of a conversation a user may read, but those that are hidden one by one.
#[derive(FromRow)]
struct Reach {
    cleared_up_to: i64,
    /// Of a former member above all chats.
    visible_after: i64,
}

/// `None`: the user neither is nor was a member. This and what is read after it need not be of one moment: a
/// user who leaves in between was a member at the call.
async fn reach(
    connection: &mut Conn,
    user: UserId,
    conversation: ConversationId,
) -> sqlx::Result<Option<Reach>> {
    sqlx::query_as(
        "SELECT cleared_up_to, CASE WHEN state = 'member' THEN visible_after ELSE $3 END
             AS visible_after
         FROM members WHERE conversation_id = $1 AND user_id = $2",
    )
    .bind(conversation)
    .bind(user)
    .bind(MAX_ID)
    .fetch_optional(connection)
    .await
}

/// What of chat `c` a user `$6` may read, whose [`Reach`] is `$4` and `$5`.
macro_rules! in_reach {
    () => {
        "c.id > $4 AND (c.id > $5 OR EXISTS (SELECT 1 FROM member_stretches st
             WHERE st.conversation_id = $1 AND st.user_id = $6
                 AND c.id > st.from_chat AND c.id <= st.to_chat))
         AND NOT EXISTS (SELECT 1 FROM hidden_chats h WHERE h.user_id = $6 AND h.chat_id = c.id)"
    };
}

/// Chats that a user may read; all of them without a user.
pub(super) async fn page(
    connection: &mut Conn,
    user: Option<UserId>,
    conversation: ConversationId,
    window: Window,
    limit: u32,
) -> sqlx::Result<Option<ChatPage>> {
    const BACKWARDS: &str = chats_query!(
        "",
        "FROM chats c",
        concat!(
            "WHERE c.conversation_id = $1 AND c.id < $2 AND ",
            in_reach!(),
            " ORDER BY c.id DESC LIMIT $3"
        )
    );
    const FORWARDS: &str = chats_query!(
        "",
        "FROM chats c",
        concat!(
            "WHERE c.conversation_id = $1 AND c.id > $2 AND ",
            in_reach!(),
            " ORDER BY c.id LIMIT $3"
        )
    );
    let reach = match user {
        Some(user) => reach(connection, user, conversation).await?,
        None => Some(Reach { cleared_up_to: 0, visible_after: 0 }),
    };
    let Some(reach) = reach else { return Ok(None) };
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
        .bind(reach.cleared_up_to)
        .bind(reach.visible_after)
        // Nobody has the id 0.
        .bind(user.map_or(0, UserId::get))
        .fetch_all(connection)
        .await?;
    let (mut chats, has_more) = cut(rows, limit);
    if is_backwards {
        chats.reverse();
    }
    Ok(Some(ChatPage { chats, has_more }))
}

/// A chat that is new or changed.
#[derive(FromRow)]
struct ChangeRow {
    /// The version of the conversation by it.
    at: i64,
    is_readable: bool,
    #[sqlx(flatten)]
    chat: Chat,
}

async fn changes(
    connection: &mut Conn,
    user: UserId,
    conversation: ConversationId,
    since: i64,
    limit: u32,
) -> sqlx::Result<Option<ChangePage>> {
    let Some(reach) = reach(connection, user, conversation).await? else { return Ok(None) };
    let rows: Vec<ChangeRow> = sqlx::query_as(chats_query!(
        concat!("change.at, (", in_reach!(), ") AS is_readable,"),
        "FROM (
             SELECT * FROM (SELECT x.id, x.id AS at FROM chats x
                 WHERE x.conversation_id = $1 AND x.id > $2 AND x.change_id IS NULL
                 ORDER BY x.id LIMIT $3) fresh
             UNION ALL
             SELECT * FROM (SELECT x.id, x.change_id AS at FROM chats x
                 WHERE x.conversation_id = $1 AND x.change_id > $2
                 ORDER BY x.change_id LIMIT $3) changed
         ) change JOIN chats c ON c.id = change.id",
        "ORDER BY change.at LIMIT $3"
    ))
    .bind(conversation)
    .bind(since)
    .bind(i64::from(limit) + 1)
    .bind(reach.cleared_up_to)
    .bind(reach.visible_after)
    .bind(user)
    .fetch_all(connection)
    .await?;
    let (rows, has_more) = cut(rows, limit);
    let version = rows.last().map_or(since, |last| last.at);
    let chats = rows.into_iter().filter(|row| row.is_readable).map(|row| row.chat).collect();
    Ok(Some(ChangePage { chats, version, has_more }))
}
