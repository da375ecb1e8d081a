//! Chats that change after they were sent.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use sqlx::FromRow;

use super::{
    super::dialect::{Now, add_event, next_chat_id},
    Conn, Db, ids,
    media::release_media,
    outbox::tell,
    queries::{chats_query, is_readable, was_member},
    sql,
};
use crate::{
    clock::Timestamp,
    domain::{
        Chat, ChatId, ChatKind, ChatState, ConversationId, ConversationKind, Mentions, Payload,
        Role, UserId, group::Changer,
    },
    store::{CHANGED, CHAT_RECALLED, Change, Recalled, Recalls, RequestDigest, StoreError, Told},
};

#[async_trait]
impl Recalls for Db {
    async fn recall(
        &self,
        actor: UserId,
        chat: ChatId,
        window: Duration,
    ) -> Result<Recalled, StoreError> {
        let now = self.now();
        let by = Changer::Member(actor);
        self.transaction(move |c| recall(c, by, chat, window, now).boxed()).await
    }

    async fn delete_for(&self, user: UserId, chat: ChatId) -> Result<Option<Told>, StoreError> {
        let now = self.now();
        self.transaction(move |c| delete_for(c, user, chat, now).boxed()).await
    }
}

/// A chat, as its recall must know it.
#[derive(FromRow)]
struct RecallRow {
    sender_id: UserId,
    kind: ChatKind,
    content: String,
    body: Option<Payload>,
    reply_to: Option<ChatId>,
    mentions: Option<Mentions>,
    state: Option<ChatState>,
    request_digest: Option<Vec<u8>>,
    created_at: Timestamp,
    now: Timestamp,
}

pub(super) async fn recall(
    connection: &mut Conn,
    by: Changer,
    chat: ChatId,
    window: Duration,
    now: Now,
) -> sqlx::Result<Recalled> {
    let place = match by {
        Changer::Member(actor) => place(connection, actor, chat).await?,
        Changer::Service(_) => any_place(connection, chat).await?,
    };
    let Some((conversation, kind)) = place else { return Ok(Recalled::NotFound) };
    if kind != ConversationKind::Direct {
        sqlx::query(concat!(
            "SELECT id FROM conversations WHERE id = $1",
            sql!(for "NO KEY UPDATE")
        ))
        .bind(conversation)
        .execute(&mut *connection)
        .await?;
    }
    let row: RecallRow = sqlx::query_as(concat!(
        "SELECT sender_id, kind, content, body, reply_to, mentions, state, request_digest,
             created_at, ",
        sql!(now "$2"),
        " AS now FROM chats WHERE id = $1",
        sql!(for "NO KEY UPDATE")
    ))
    .bind(chat)
    .bind(now)
    .fetch_one(&mut *connection)
    .await?;
    // Who joined later hears of it only by a quote: there is nothing else of it to change.
    let members: Vec<(UserId, Role, bool)> = sqlx::query_as(concat!(
        "WITH told AS MATERIALIZED (
             SELECT CAST($2 AS BIGINT) AS id UNION ALL SELECT id FROM chats WHERE reply_to = $2
         )
         SELECT m.user_id, m.role, EXISTS (SELECT 1 FROM told c WHERE ",
        was_member!(),
        ") AS hears FROM members m WHERE m.conversation_id = $1 AND m.state = 'member'
         ORDER BY m.user_id"
    ))
    .bind(conversation)
    .bind(chat)
    .fetch_all(&mut *connection)
    .await?;
    let keeps_order = match by {
        Changer::Service(_) => true,
        Changer::Member(actor) => {
            // Whoever left meanwhile has nothing to recall.
            let Some((_, role, _)) = members.iter().find(|(user, ..)| *user == actor) else {
                return Ok(Recalled::NotFound);
            };
            let keeps_order = *role >= Role::Admin;
            if row.kind == ChatKind::System || row.sender_id != actor && !keeps_order {
                return Ok(Recalled::Forbidden);
            }
            keeps_order
        }
    };
    if row.state == Some(ChatState::Recalled) {
        let chat = read(connection, chat).await?;
        return Ok(Recalled::Done(Box::new(chat), Told::default()));
    }
    if !keeps_order && row.now.before(window) > row.created_at {
        return Ok(Recalled::TooLate);
    }
    let told = members.into_iter().filter(|(_, _, hears)| *hears);
    let users: Vec<_> = told.map(|(user, ..)| user).collect();
    lock_counters(connection, &users).await?;
    let RecallRow { kind, content, body, reply_to, mentions, request_digest, .. } = row;
    let digest = request_digest.unwrap_or_else(|| {
        let digest = RequestDigest::of(&kind, &content, body.as_ref(), reply_to, mentions.as_ref());
        digest.0.to_vec()
    });
    sqlx::query(concat!(
        "INSERT INTO chat_revisions (chat_id, version, kind, content, body, changed_by, changed_at)
         SELECT id, version, kind, content, body, $2, ",
        sql!(now "$3"),
        " FROM chats WHERE id = $1"
    ))
    .bind(chat)
    .bind(by.user())
    .bind(now)
    .execute(&mut *connection)
    .await?;
    let change = next_chat_id(connection).await?;
    sqlx::query(
        "UPDATE chats SET content = '', body = NULL, reply_to = NULL, mentions = NULL,
             state = 'recalled', version = version + 1, change_id = $2, request_digest = $3
         WHERE id = $1",
    )
    .bind(chat)
    .bind(change)
    .bind(digest)
    .execute(&mut *connection)
    .await?;
    let places = add_event(connection, &users, CHANGED, Some(chat), None, None, now).await?;
    tell(connection, CHAT_RECALLED, Some(conversation), Some(chat), None, now).await?;
    release_media(connection, &[chat], now).await?;
    let chat = Box::new(read(connection, chat).await?);
    let events = vec![(Change::Changed(chat.clone()), places)];
    Ok(Recalled::Done(chat, Told { chats: Vec::new(), events }))
}

async fn delete_for(
    connection: &mut Conn,
    user: UserId,
    chat: ChatId,
    now: Now,
) -> sqlx::Result<Option<Told>> {
    lock_counters(connection, &[user]).await?;
    let is_gone: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM hidden_chats WHERE user_id = $1 AND chat_id = $2)",
    )
    .bind(user)
    .bind(chat)
    .fetch_one(&mut *connection)
    .await?;
    if is_gone {
        return Ok(Some(Told::default()));
    }
    let Some((conversation, _)) = place(connection, user, chat).await? else { return Ok(None) };
    sqlx::query("INSERT INTO hidden_chats (user_id, chat_id) VALUES ($1, $2)")
        .bind(user)
        .bind(chat)
        .execute(&mut *connection)
        .await?;
    let places = add_event(connection, &[user], CHANGED, Some(chat), None, None, now).await?;
    let events = vec![(Change::Gone { chat, conversation }, places)];
    Ok(Some(Told { chats: Vec::new(), events }))
}

/// In which conversation a chat is.
async fn any_place(
    connection: &mut Conn,
    chat: ChatId,
) -> sqlx::Result<Option<(ConversationId, ConversationKind)>> {
    sqlx::query_as(
        "SELECT g.id, g.kind FROM chats c JOIN conversations g ON g.id = c.conversation_id
         WHERE c.id = $1",
    )
    .bind(chat)
    .fetch_optional(connection)
    .await
}

/// In which conversation a chat is that a member may read.
async fn place(
    connection: &mut Conn,
    user: UserId,
    chat: ChatId,
) -> sqlx::Result<Option<(ConversationId, ConversationKind)>> {
    sqlx::query_as(concat!(
        "SELECT g.id, g.kind FROM chats c
         JOIN members m ON m.conversation_id = c.conversation_id AND m.user_id = $2
         JOIN conversations g ON g.id = c.conversation_id
         WHERE c.id = $1 AND m.state = 'member' AND ",
        is_readable!()
    ))
    .bind(chat)
    .bind(user)
    .fetch_optional(connection)
    .await
}

/// Locks the counters of these users, in ascending id.
pub(super) async fn lock_counters(connection: &mut Conn, users: &[UserId]) -> sqlx::Result<()> {
    sqlx::query(concat!(
        "SELECT user_id FROM timelines WHERE user_id ",
        sql!(in "$1"),
        " ORDER BY user_id",
        sql!(for "NO KEY UPDATE")
    ))
    .bind(ids(users))
    .execute(connection)
    .await?;
    Ok(())
}

async fn read(connection: &mut Conn, chat: ChatId) -> sqlx::Result<Chat> {
    sqlx::query_as(chats_query!("", "FROM chats c", "WHERE c.id = $1"))
        .bind(chat)
        .fetch_one(connection)
        .await
}
