//! Chats that are held back until somebody decides.

use std::collections::BTreeSet;

use async_trait::async_trait;
use futures_util::FutureExt;
use serde_json::json;
use sqlx::FromRow;

use super::{
    super::dialect::{Now, add_event},
    Conn, Db,
    keys::{begun, can_be_sent, columns, known, millis},
    media::lock_media,
    outbox::tell,
    sql,
};
use crate::{
    clock::Timestamp,
    domain::{
        ChatId, ChatKind, ClientMsgId, Content, ConversationId, Destination, HeldId, MediaId,
        Mentions, Payload, UserId,
    },
    store::{
        CHAT_HELD, Change, HeldChat, HeldPage, Holds, KeyState, NewChat, Origin, REFUSED, Refusal,
        RequestDigest, StoreError, Told, VERDICT_KEPT, WantedKey, error::corrupt, rows::cut,
    },
};

#[async_trait]
impl Holds for Db {
    async fn hold(&self, chat: &NewChat) -> Result<KeyState, StoreError> {
        let (chat, now) = (chat.clone(), self.now());
        self.transaction(move |c| async move { hold(c, &chat, now).await }.boxed()).await
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
}

async fn state(connection: &mut Conn, wanted: &WantedKey) -> sqlx::Result<KeyState> {
    let known = known(connection, &[(0, wanted)]).await?.pop();
    let known = known.ok_or_else(|| corrupt("a key has no state"))?;
    Ok(known.state.unwrap_or(KeyState::Asked))
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
    if sender.is_none()
        || chat.lacks_upload()
        || state(connection, &wanted).await? == KeyState::Commit
    {
        return Ok(KeyState::Commit);
    }
    if !can_be_sent(connection, &wanted).await? {
        // It may be held since a time when it could be.
        let state = state(connection, &wanted).await?;
        let is_decided = matches!(state, KeyState::Held | KeyState::Refused(_));
        return Ok(if is_decided { state } else { KeyState::Commit });
    }
    if let Some(media) = chat.media
        && lock_media(connection, &BTreeSet::from([media])).await?.is_empty()
    {
        return Ok(KeyState::Commit);
    }
    let (target, conversation) = columns(chat.destination);
    let held: Option<(HeldId, Option<ConversationId>)> = sqlx::query_as(concat!(
        "INSERT INTO held_chats (sender_id, client_msg_id, request_digest, target_id,
             conversation_id, state, kind, content, body, reply_to, mentions, media_id, created_at,
             awaits_check)
         VALUES ($1, $2, $3, $4, $5, 'held', $6, $7, $8, $9, $10, $11, ",
        sql!(now "$12"),
        ", $13) ON CONFLICT (sender_id, client_msg_id) DO UPDATE SET state = 'held', until = NULL,
             target_id = excluded.target_id, conversation_id = excluded.conversation_id,
             kind = excluded.kind, content = excluded.content, body = excluded.body,
             reply_to = excluded.reply_to, mentions = excluded.mentions,
             media_id = excluded.media_id, created_at = excluded.created_at,
             awaits_check = excluded.awaits_check
         WHERE held_chats.state IN ('asked', 'allowed')
             AND held_chats.request_digest = excluded.request_digest
         RETURNING id, ",
        begun!()
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
    .bind(chat.awaits_check)
    .fetch_optional(&mut *connection)
    .await?;
    let Some((id, begun)) = held else { return state(connection, &wanted).await };
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
            awaits_check: false,
            must_be_repeat: false,
        };
        Ok(HeldChat { id: self.id, chat, created_at: self.created_at })
    }
}
