//! Chats on which somebody else decides.

use std::{collections::BTreeSet, time::Duration};

use async_trait::async_trait;
use futures_util::FutureExt;
use serde_json::json;
use sqlx::FromRow;

use super::{
    super::dialect::{Now, add_event},
    Conn, Db,
    media::lock_media,
    outbox::tell,
    sql,
};
use crate::{
    clock::Timestamp,
    domain::{
        ChatId, ChatKind, ClientMsgId, Content, ConversationId, Destination, HeldId, MediaId,
        MediaKind, Mentions, Payload, UserId, UserName,
    },
    store::{
        AllowedKey, CHAT_HELD, Change, HeldChat, HeldPage, Holds, KeyState, NewChat, Origin,
        Preview, REFUSED, Refusal, RequestDigest, StoreError, Told, VERDICT_KEPT, WantedKey,
        error::corrupt, rows::cut,
    },
};

/// What the company's own back end calls user `$of`.
macro_rules! external_id {
    ($of:literal) => {
        concat!(
            "(SELECT i.subject FROM identities i WHERE i.provider = 'external' AND i.user_id = ",
            $of,
            " ORDER BY i.subject LIMIT 1)"
        )
    };
}

#[async_trait]
impl Holds for Db {
    async fn preview(&self, chat: &NewChat) -> Result<Option<Preview>, StoreError> {
        if is_without_upload(chat) {
            return Ok(None);
        }
        let (sender, destination) = (chat.sender, chat.destination);
        self.read(move |c| preview(c, sender, destination).boxed()).await
    }

    async fn claim_keys(
        &self,
        wanted: &[WantedKey],
        lease: Duration,
    ) -> Result<Vec<KeyState>, StoreError> {
        let (wanted, now) = (wanted.to_vec(), self.now());
        let lease = millis(lease);
        self.transaction(move |c| async move { claim(c, &wanted, lease, now).await }.boxed()).await
    }

    async fn free_key(
        &self,
        sender: UserId,
        key: &ClientMsgId,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let query = sqlx::query(
            "DELETE FROM held_chats WHERE sender_id = $1 AND client_msg_id = $2
                 AND state = 'asked' AND until = $3",
        )
        .bind(sender)
        .bind(key.clone())
        .bind(until);
        self.write(|c| query.execute(c).boxed()).await?;
        Ok(())
    }

    async fn allow_keys(&self, allowed: &[AllowedKey]) -> Result<(), StoreError> {
        let (allowed, now) = (allowed.to_vec(), self.now());
        self.transaction(move |c| async move { allow(c, &allowed, now).await }.boxed()).await
    }

    async fn refuse_key(
        &self,
        sender: UserId,
        key: &ClientMsgId,
        until: Timestamp,
        refusal: &Refusal,
    ) -> Result<(), StoreError> {
        let query = sqlx::query(concat!(
            "UPDATE held_chats SET state = 'refused', code = $4, detail = $5, until = ",
            sql!(now "$6"),
            " + $7 WHERE sender_id = $1 AND client_msg_id = $2 AND state = 'asked' AND until = $3"
        ))
        .bind(sender)
        .bind(key.clone())
        .bind(until)
        .bind(refusal.code.clone())
        .bind(refusal.detail.clone())
        .bind(self.now())
        .bind(millis(VERDICT_KEPT));
        self.write(|c| query.execute(c).boxed()).await?;
        Ok(())
    }

    async fn hold(&self, chat: &NewChat) -> Result<KeyState, StoreError> {
        let (chat, now) = (chat.clone(), self.now());
        self.transaction(move |c| async move { hold(c, &chat, now).await }.boxed()).await
    }

    async fn key_state(&self, wanted: &WantedKey) -> Result<KeyState, StoreError> {
        let wanted = wanted.clone();
        self.read(move |c| async move { key_state(c, &wanted).await }.boxed()).await
    }

    async fn has_decided_keys(&self) -> Result<bool, StoreError> {
        self.read(|c| {
            sqlx::query_scalar(
                "SELECT EXISTS (
                     SELECT 1 FROM held_chats WHERE state IN ('held', 'releasing', 'refused'))",
            )
            .fetch_one(c)
            .boxed()
        })
        .await
    }

    async fn held_chats(&self, after: Option<HeldId>, limit: u32) -> Result<HeldPage, StoreError> {
        self.read(move |c| {
            async move {
                let rows: Vec<HeldRow> = sqlx::query_as(
                    "SELECT * FROM held_chats WHERE until IS NULL AND id > $1
                     ORDER BY id LIMIT $2",
                )
                .bind(after.map_or(0, HeldId::get))
                .bind(i64::from(limit) + 1)
                .fetch_all(c)
                .await?;
                let (rows, has_more) = cut(rows, limit);
                let chats = rows.into_iter().map(HeldRow::into_held);
                Ok(HeldPage { chats: chats.collect::<sqlx::Result<_>>()?, has_more })
            }
            .boxed()
        })
        .await
    }

    async fn begin_release(&self, id: HeldId) -> Result<Option<NewChat>, StoreError> {
        self.write(move |c| {
            async move {
                let row: Option<HeldRow> = sqlx::query_as(
                    "UPDATE held_chats SET state = 'releasing' WHERE id = $1 AND until IS NULL
                     RETURNING *",
                )
                .bind(id)
                .fetch_optional(c)
                .await?;
                row.map(|row| Ok(row.into_held()?.chat)).transpose()
            }
            .boxed()
        })
        .await
    }

    async fn end_release(&self, id: HeldId) -> Result<(), StoreError> {
        let query =
            sqlx::query("DELETE FROM held_chats WHERE id = $1 AND state = 'releasing'").bind(id);
        self.write(|c| query.execute(c).boxed()).await?;
        Ok(())
    }

    async fn refuse_held(
        &self,
        id: HeldId,
        is_releasing: bool,
        refusal: &Refusal,
    ) -> Result<Option<Told>, StoreError> {
        let (refusal, now) = (refusal.clone(), self.now());
        let state = if is_releasing { "releasing" } else { "held" };
        self.transaction(move |c| async move { refuse(c, id, state, refusal, now).await }.boxed())
            .await
    }

    async fn forget_keys(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let query = sqlx::query(
            "DELETE FROM held_chats WHERE id IN (
                 SELECT id FROM held_chats WHERE until < $1 ORDER BY until LIMIT $2)
                 AND until < $1",
        )
        .bind(before)
        .bind(i64::from(limit));
        Ok(self.write(|c| query.execute(c).boxed()).await?.rows_affected())
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX).min(1 << 53)
}

/// Whether it is to show an upload that its sender may not show.
fn is_without_upload(chat: &NewChat) -> bool {
    MediaKind::parse(chat.kind.as_str()).is_some() && chat.media.is_none()
}

/// The user and the conversation that a destination names, one of which is not there.
fn columns(destination: Destination) -> (Option<UserId>, Option<ConversationId>) {
    match destination {
        Destination::Direct(target) => (Some(target), None),
        Destination::Conversation(id) => (None, Some(id)),
    }
}

#[derive(FromRow)]
struct PreviewRow {
    conversation_id: Option<ConversationId>,
    sender_name: UserName,
    sender_external: Option<String>,
    target_id: Option<UserId>,
    target_name: Option<UserName>,
    target_external: Option<String>,
}

async fn preview(
    connection: &mut Conn,
    sender: UserId,
    destination: Destination,
) -> sqlx::Result<Option<Preview>> {
    const TO_USER: &str = concat!(
        "SELECT v.id AS conversation_id, s.name AS sender_name, ",
        external_id!("s.id"),
        " AS sender_external, t.id AS target_id, t.name AS target_name, ",
        external_id!("t.id"),
        " AS target_external
         FROM users s JOIN users t ON t.id = $2 AND t.erased_at IS NULL
         LEFT JOIN conversations v ON v.kind = 'direct' AND v.low_user = ",
        sql!(least "s.id, t.id"),
        " AND v.high_user = ",
        sql!(greatest "s.id, t.id"),
        " WHERE s.id = $1 AND s.erased_at IS NULL AND $3 = 0"
    );
    const INTO_CONVERSATION: &str = concat!(
        "SELECT v.id AS conversation_id, s.name AS sender_name, ",
        external_id!("s.id"),
        " AS sender_external, t.id AS target_id, t.name AS target_name, ",
        external_id!("t.id"),
        " AS target_external
         FROM users s JOIN members m ON m.user_id = s.id AND m.conversation_id = $3
             AND m.state = 'member'
         JOIN conversations v ON v.id = m.conversation_id
         LEFT JOIN users t ON v.kind = 'direct' AND t.id =
             CASE WHEN v.low_user = s.id THEN v.high_user ELSE v.low_user END
         WHERE s.id = $1 AND s.erased_at IS NULL AND $2 = 0"
    );
    let (target, conversation) = columns(destination);
    let statement = if target.is_some() { TO_USER } else { INTO_CONVERSATION };
    let row: Option<PreviewRow> = sqlx::query_as(statement)
        .bind(sender)
        .bind(target.map_or(0, UserId::get))
        .bind(conversation.map_or(0, ConversationId::get))
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|row| {
        let target = row.target_id.zip(row.target_name);
        Preview {
            conversation: row.conversation_id,
            sender: (row.sender_name, row.sender_external),
            target: target.map(|(id, name)| (id, name, row.target_external)),
        }
    }))
}

/// Claims keys in their order, so that replicas do not wait for each other.
async fn claim(
    connection: &mut Conn,
    wanted: &[WantedKey],
    lease: i64,
    now: Now,
) -> sqlx::Result<Vec<KeyState>> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by_key(|place| (wanted[*place].sender, wanted[*place].key.as_str()));
    let mut states = vec![KeyState::Asked; wanted.len()];
    for place in order {
        states[place] = claim_one(connection, &wanted[place], lease, now).await?;
    }
    Ok(states)
}

async fn claim_one(
    connection: &mut Conn,
    wanted: &WantedKey,
    lease: i64,
    now: Now,
) -> sqlx::Result<KeyState> {
    let (target, conversation) = columns(wanted.destination);
    let taken: Option<Timestamp> = sqlx::query_scalar(concat!(
        "INSERT INTO held_chats (sender_id, client_msg_id, request_digest, target_id,
             conversation_id, state, until, created_at)
         SELECT $1, $2, $3, $4, $5, 'asked', n.now + $6, n.now FROM (SELECT ",
        sql!(now "$7"),
        " AS now) n
         WHERE NOT EXISTS (SELECT 1 FROM chats WHERE sender_id = $1 AND client_msg_id = $2)
         ON CONFLICT (sender_id, client_msg_id) DO UPDATE SET
             request_digest = excluded.request_digest, target_id = excluded.target_id,
             conversation_id = excluded.conversation_id, state = excluded.state,
             content = NULL, until = excluded.until
         WHERE (held_chats.state = 'asked' AND held_chats.until <= excluded.created_at)
             OR (held_chats.state = 'allowed' AND (
                 held_chats.request_digest <> excluded.request_digest
                 OR held_chats.target_id IS DISTINCT FROM excluded.target_id
                 OR held_chats.conversation_id IS DISTINCT FROM excluded.conversation_id))
         RETURNING until"
    ))
    .bind(wanted.sender)
    .bind(wanted.key.clone())
    .bind(wanted.digest.0.to_vec())
    .bind(target)
    .bind(conversation)
    .bind(lease)
    .bind(now)
    .fetch_optional(&mut *connection)
    .await?;
    match taken {
        Some(until) => Ok(KeyState::Taken(until)),
        None => state(connection, wanted).await,
    }
}

/// Notes what is allowed, in the order of the keys, so that replicas do not wait for each other.
async fn allow(connection: &mut Conn, allowed: &[AllowedKey], now: Now) -> sqlx::Result<()> {
    let mut ordered: Vec<_> = allowed.iter().collect();
    ordered.sort_by_key(|it| (it.sender, it.key.as_str()));
    for AllowedKey { sender, key, until, content } in ordered {
        let done = sqlx::query(
            "DELETE FROM held_chats
             WHERE sender_id = $1 AND client_msg_id = $2 AND state = 'asked' AND until = $3
                 AND EXISTS (SELECT 1 FROM chats WHERE sender_id = $1 AND client_msg_id = $2)",
        )
        .bind(*sender)
        .bind(key.clone())
        .bind(*until)
        .execute(&mut *connection)
        .await?;
        if done.rows_affected() > 0 {
            continue;
        }
        sqlx::query(concat!(
            "UPDATE held_chats SET state = 'allowed', content = $4, until = ",
            sql!(now "$5"),
            " + $6
             WHERE sender_id = $1 AND client_msg_id = $2 AND state = 'asked' AND until = $3"
        ))
        .bind(*sender)
        .bind(key.clone())
        .bind(*until)
        .bind(content.as_ref().map(|content| content.as_str().to_owned()))
        .bind(now)
        .bind(millis(VERDICT_KEPT))
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

#[derive(FromRow)]
struct StateRow {
    request_digest: Vec<u8>,
    target_id: Option<UserId>,
    conversation_id: Option<ConversationId>,
    state: String,
    content: Option<String>,
    code: Option<String>,
    detail: Option<String>,
}

/// How far a key is that the caller does not have.
async fn state(connection: &mut Conn, wanted: &WantedKey) -> sqlx::Result<KeyState> {
    if is_committed(connection, wanted).await? {
        return Ok(KeyState::Commit);
    }
    let row: Option<StateRow> = sqlx::query_as(
        "SELECT request_digest, target_id, conversation_id, state, content, code, detail
         FROM held_chats WHERE sender_id = $1 AND client_msg_id = $2",
    )
    .bind(wanted.sender)
    .bind(wanted.key.clone())
    .fetch_optional(connection)
    .await?;
    // It was freed just now, and may be claimed again.
    let Some(row) = row else { return Ok(KeyState::Asked) };
    if row.state == "asked" {
        return Ok(KeyState::Asked);
    }
    let is_same = row.request_digest == wanted.digest.0
        && columns(wanted.destination) == (row.target_id, row.conversation_id);
    if !is_same {
        return Ok(KeyState::Reused);
    }
    match (row.state.as_str(), row.code, row.detail) {
        ("held" | "releasing", ..) => Ok(KeyState::Held),
        ("allowed", ..) => Ok(KeyState::Allowed(row.content.as_deref().map(Content::of_service))),
        ("refused", Some(code), Some(detail)) => Ok(KeyState::Refused(Refusal { code, detail })),
        _ => Err(corrupt("the state of a held chat is none")),
    }
}

/// As [`state`], but that a chat is not held while it is being released.
async fn key_state(connection: &mut Conn, wanted: &WantedKey) -> sqlx::Result<KeyState> {
    let state = state(connection, wanted).await?;
    if state != KeyState::Held {
        return Ok(state);
    }
    let is_held = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM held_chats
             WHERE sender_id = $1 AND client_msg_id = $2 AND state = 'held')",
    )
    .bind(wanted.sender)
    .bind(wanted.key.clone())
    .fetch_one(connection)
    .await?;
    Ok(if is_held { KeyState::Held } else { KeyState::Asked })
}

async fn is_committed(connection: &mut Conn, wanted: &WantedKey) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM chats WHERE sender_id = $1 AND client_msg_id = $2)",
    )
    .bind(wanted.sender)
    .bind(wanted.key.clone())
    .fetch_one(connection)
    .await
}

async fn hold(connection: &mut Conn, chat: &NewChat, now: Now) -> sqlx::Result<KeyState> {
    let wanted = WantedKey::of(chat);
    // An erasure waits for the end, and then takes what is held.
    let sender = sqlx::query(concat!(
        "SELECT 1 FROM users WHERE id = $1 AND erased_at IS NULL",
        sql!(for "SHARE")
    ))
    .bind(chat.sender)
    .fetch_optional(&mut *connection)
    .await?;
    if sender.is_none() || is_without_upload(chat) || is_committed(connection, &wanted).await? {
        return Ok(KeyState::Commit);
    }
    let preview = preview(connection, chat.sender, chat.destination).await?;
    let Some(Preview { conversation: begun, .. }) = preview else {
        // It cannot be sent any more, and may be held since before.
        let state = state(connection, &wanted).await?;
        let is_decided = matches!(state, KeyState::Held | KeyState::Refused(_));
        return Ok(if is_decided { state } else { KeyState::Commit });
    };
    if let Some(media) = chat.media
        && lock_media(connection, &BTreeSet::from([media])).await?.is_empty()
    {
        return Ok(KeyState::Commit);
    }
    let (target, conversation) = columns(chat.destination);
    let held: Option<HeldId> = sqlx::query_scalar(concat!(
        "INSERT INTO held_chats (sender_id, client_msg_id, request_digest, target_id,
             conversation_id, state, kind, content, body, reply_to, mentions, media_id, created_at)
         VALUES ($1, $2, $3, $4, $5, 'held', $6, $7, $8, $9, $10, $11, ",
        sql!(now "$12"),
        ") ON CONFLICT (sender_id, client_msg_id) DO UPDATE SET state = 'held', until = NULL,
             kind = excluded.kind, content = excluded.content, body = excluded.body,
             reply_to = excluded.reply_to, mentions = excluded.mentions,
             media_id = excluded.media_id, created_at = excluded.created_at
         WHERE held_chats.state IN ('asked', 'allowed')
             AND held_chats.request_digest = excluded.request_digest
         RETURNING id"
    ))
    .bind(chat.sender)
    .bind(chat.client_msg_id.clone())
    .bind(wanted.digest.0.to_vec())
    .bind(target)
    .bind(conversation)
    .bind(chat.kind.as_str().to_owned())
    .bind(chat.content.as_str().to_owned())
    .bind(chat.body.as_ref().map(|body| body.as_str().to_owned()))
    .bind(chat.reply_to)
    .bind(chat.mentions.as_ref().map(Mentions::to_json))
    .bind(chat.media)
    .bind(now)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(id) = held else { return state(connection, &wanted).await };
    let told = json!({"id": id, "userId": chat.sender, "clientMsgId": chat.client_msg_id,
        "targetUserId": target, "conversationId": begun});
    tell(connection, CHAT_HELD, None, None, Some(told), now).await?;
    Ok(KeyState::Held)
}

async fn refuse(
    connection: &mut Conn,
    id: HeldId,
    state: &str,
    refusal: Refusal,
    now: Now,
) -> sqlx::Result<Option<Told>> {
    let refused: Option<(UserId, ClientMsgId)> = sqlx::query_as(concat!(
        "UPDATE held_chats SET state = 'refused', code = $3, detail = $4, until = ",
        sql!(now "$5"),
        " + $6, kind = NULL, content = NULL, body = NULL, reply_to = NULL, mentions = NULL,
             media_id = NULL
         WHERE id = $1 AND state = $2 RETURNING sender_id, client_msg_id"
    ))
    .bind(id)
    .bind(state.to_owned())
    .bind(refusal.code.clone())
    .bind(refusal.detail.clone())
    .bind(now)
    .bind(millis(VERDICT_KEPT))
    .fetch_optional(&mut *connection)
    .await?;
    let Some((sender, key)) = refused else { return Ok(None) };
    let Refusal { code, detail } = refusal;
    let payload = json!({"clientMsgId": key, "code": code, "detail": detail}).to_string();
    let places = add_event(connection, &[sender], REFUSED, None, None, Some(&payload), now).await?;
    let payload = Payload::parse(payload).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let event = Change::Other { kind: REFUSED.to_owned(), chat: None, payload: Some(payload) };
    Ok(Some(Told { chats: Vec::new(), events: vec![(event, places)] }))
}

#[derive(FromRow)]
struct HeldRow {
    id: HeldId,
    sender_id: UserId,
    client_msg_id: ClientMsgId,
    request_digest: Vec<u8>,
    target_id: Option<UserId>,
    conversation_id: Option<ConversationId>,
    kind: Option<ChatKind>,
    content: Option<String>,
    body: Option<Payload>,
    reply_to: Option<ChatId>,
    mentions: Option<Mentions>,
    media_id: Option<MediaId>,
    created_at: Timestamp,
}

impl HeldRow {
    fn into_held(self) -> sqlx::Result<HeldChat> {
        let wrong = || corrupt(format!("held chat {} is not whole", self.id));
        let destination = match (self.target_id, self.conversation_id) {
            (Some(target), None) => Destination::Direct(target),
            (None, Some(id)) => Destination::Conversation(id),
            _ => return Err(wrong()),
        };
        let digest = self.request_digest.clone().try_into().map_err(|_| wrong())?;
        let (kind, content) = self.kind.clone().zip(self.content.as_deref()).ok_or_else(wrong)?;
        let chat = NewChat {
            // Its rate was counted, and the setting `chat.who_may_write` asked, when it came.
            origin: Origin::Server,
            sender: self.sender_id,
            destination,
            client_msg_id: self.client_msg_id,
            kind,
            content: Content::of_service(content),
            body: self.body,
            reply_to: self.reply_to,
            mentions: self.mentions,
            media: self.media_id,
            asked: Some(RequestDigest(digest)),
            hold: false,
        };
        Ok(HeldChat { id: self.id, chat, created_at: self.created_at })
    }
}
