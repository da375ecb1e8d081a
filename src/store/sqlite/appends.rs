//! Committing a batch of chats: the one write that must be fast, and the one that must be right.
//!
//! The number of statements does not depend on the length of the batch. The write lock is the lock of all
//! conversations and counters. It comes first: what is read from then on is what the batches before this
//! one have left.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use futures_util::FutureExt;
use serde_json::json;
use sqlx::SqliteConnection;

use super::{
    SqliteStore,
    dialect::{Now, ids, list},
    shared::{append_any, chats_query},
};
use crate::{
    clock::Timestamp,
    domain::{ChatId, ConversationId, Mentions, Payload},
    store::{
        Appended, Appends, CHAT_CREATED, NewChat, RequestDigest, StoreError,
        batch::{
            self, Earlier, EarlierRow, NamedConversations, NamedRow, Numbered, Pair, People, Sides,
            TalkRow, Talks,
        },
    },
};

/// More than a usual batch writes, so that a disk with room for less is found to be full.
const TRIAL_BYTES: i64 = 65_536;

#[async_trait]
impl Appends for SqliteStore {
    async fn append(&self, batch: &[NewChat]) -> Result<Vec<Appended>, StoreError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let (batch, clock) = (batch.to_vec(), self.clock.clone());
        self.transaction(move |c| {
            async move { append_any(c, &batch, true, || clock.now()).await }.boxed()
        })
        .await
    }

    /// Commits a picture that nobody has and removes it: what is rolled back is never written.
    async fn try_writing(&self) -> Result<(), StoreError> {
        const HASH: &str = "a trial";
        self.write(|c| {
            async move {
                sqlx::query(
                    "INSERT INTO avatars (hash, content_type, picture) VALUES (?1, '', randomblob(?2))
                     ON CONFLICT (hash) DO UPDATE SET picture = excluded.picture",
                )
                .bind(HASH)
                .bind(TRIAL_BYTES)
                .execute(&mut *c)
                .await?;
                sqlx::query("DELETE FROM avatars WHERE hash = ?1").bind(HASH).execute(c).await?;
                Ok(())
            }
            .boxed()
        })
        .await
    }
}

/// Reads the conversations that senders name.
pub(super) async fn lock_named(
    tx: &mut SqliteConnection,
    _batch: &[NewChat],
    wanted: &BTreeSet<ConversationId>,
) -> sqlx::Result<Vec<NamedRow>> {
    sqlx::query_as(
        "SELECT id, iif(kind = 'direct', low_user, NULL), iif(kind = 'direct', high_user, NULL)
         FROM conversations WHERE id IN (SELECT value FROM json_each(?1))",
    )
    .bind(ids(wanted))
    .fetch_all(tx)
    .await
}

/// Reads the users who may get an event and exist, with their counters, and the direct conversations
/// between them.
pub(super) async fn lock(
    tx: &mut SqliteConnection,
    batch: &[NewChat],
    named: &NamedConversations,
) -> sqlx::Result<(People, Talks)> {
    let people = sqlx::query_as(
        "SELECT u.id, u.name, u.kind, iif(u.kind = 'person', coalesce(t.last_seq, 0), NULL)
         FROM users u LEFT JOIN timelines t ON t.user_id = u.id
         WHERE u.id IN (SELECT value FROM json_each(?1)) AND u.erased_at IS NULL",
    )
    .bind(ids(&batch::users(batch, named)))
    .fetch_all(&mut *tx)
    .await?;
    let talks = sqlx::query_as(
        "SELECT v.id, v.low_user, v.high_user, v.low_wrote, v.high_wrote
         FROM json_each(?1) p JOIN conversations v
             ON v.kind = 'direct' AND v.low_user = p.value ->> 0 AND v.high_user = p.value ->> 1",
    )
    .bind(list(batch::pairs(batch, named).iter().map(|pair| json!(pair))))
    .fetch_all(tx)
    .await?;
    Ok((batch::people(people), batch::talks(talks)))
}

/// The chats that earlier batches committed under keys of this one.
pub(super) async fn earlier(tx: &mut SqliteConnection, batch: &[NewChat]) -> sqlx::Result<Earlier> {
    let rows: Vec<EarlierRow> = sqlx::query_as(chats_query!(
        "c.sender_seq, c.request_digest,",
        "FROM json_each(?1) k JOIN chats c
             ON c.sender_id = k.value ->> 0 AND c.client_msg_id = k.value ->> 1",
        ""
    ))
    .bind(list(batch::keys(batch).iter().map(|key| json!(key))))
    .fetch_all(tx)
    .await?;
    Ok(batch::earlier(rows))
}

/// The conversations of these pairs, begun where there is none; notes which sides write.
pub(super) async fn begin_or_note(
    tx: &mut SqliteConnection,
    writing: BTreeMap<Pair, Sides>,
    now: Now,
) -> sqlx::Result<Talks> {
    let writing = writing.iter().map(|((low, high), to)| json!([low, high, to.low, to.high]));
    let rows: Vec<TalkRow> = sqlx::query_as(
        "INSERT INTO conversations AS v (kind, low_user, high_user, low_wrote, high_wrote, created_at)
         SELECT 'direct', value ->> 0, value ->> 1, value ->> 2, value ->> 3, ?2
         FROM json_each(?1) WHERE true
         ON CONFLICT (low_user, high_user) WHERE kind = 'direct' DO UPDATE
         SET low_wrote = v.low_wrote OR excluded.low_wrote,
             high_wrote = v.high_wrote OR excluded.high_wrote
         RETURNING id, low_user, high_user, low_wrote, high_wrote",
    )
    .bind(list(writing))
    .bind(now)
    .fetch_all(&mut *tx)
    .await?;
    // UNION: one row where both users are the same.
    sqlx::query(
        "INSERT INTO members (conversation_id, user_id)
         SELECT v.id, v.low_user FROM conversations v
             WHERE v.id IN (SELECT value FROM json_each(?1))
         UNION
         SELECT v.id, v.high_user FROM conversations v
             WHERE v.id IN (SELECT value FROM json_each(?1))
         ON CONFLICT DO NOTHING",
    )
    .bind(ids(rows.iter().map(|(id, ..)| id)))
    .execute(tx)
    .await?;
    Ok(batch::talks(rows))
}

/// Writes the chats, their events, and the counters after them. Returns the ids, in the order of the chats,
/// and the time.
pub(super) async fn write(
    tx: &mut SqliteConnection,
    numbered: &[Numbered<'_>],
    now: Now,
) -> sqlx::Result<(Vec<ChatId>, Timestamp)> {
    let count = i64::try_from(numbered.len()).expect("a batch is short");
    let (last, is_told): (i64, bool) = sqlx::query_as(
        "UPDATE service SET last_chat_id = last_chat_id + ?1 WHERE id = 1
         RETURNING last_chat_id, outbox_enabled",
    )
    .bind(count)
    .fetch_one(&mut *tx)
    .await?;
    let first = last - count + 1;
    let taken =
        (first..=last).map(|id| ChatId::new(id).map_err(|error| sqlx::Error::Decode(error.into())));
    let taken: Vec<ChatId> = taken.collect::<sqlx::Result<_>>()?;

    let chats = taken.iter().zip(numbered).map(|(id, numbered)| {
        let chat = numbered.chat;
        json!([
            id,
            numbered.conversation,
            chat.sender,
            numbered.sender_seq(),
            chat.client_msg_id,
            chat.kind,
            chat.content.as_str(),
            now.as_millis(),
            chat.body.as_ref().map(Payload::as_str),
            chat.reply_to,
            chat.mentions.as_ref().map(Mentions::to_json),
            chat.asked.map(RequestDigest::to_hex),
        ])
    });
    sqlx::query(
        "INSERT INTO chats (id, conversation_id, sender_id, sender_seq, client_msg_id, kind,
             content, created_at, body, reply_to, mentions, request_digest)
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5,
             value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10, unhex(value ->> 11)
         FROM json_each(?1)",
    )
    .bind(list(chats))
    .execute(&mut *tx)
    .await?;

    let events = taken.iter().zip(numbered).flat_map(|(id, Numbered { places, .. })| {
        places.iter().map(move |(user, seq)| json!([user, seq, id]))
    });
    sqlx::query(
        "INSERT INTO timeline_events (user_id, seq, kind, chat_id)
         SELECT value ->> 0, value ->> 1, 'chat', value ->> 2 FROM json_each(?1)",
    )
    .bind(list(events))
    .execute(&mut *tx)
    .await?;

    sqlx::query(
        "INSERT INTO timelines (user_id, first_seq, last_seq)
         SELECT value ->> 0, 1, value ->> 1 FROM json_each(?1) WHERE true
         ON CONFLICT (user_id) DO UPDATE SET last_seq = excluded.last_seq",
    )
    .bind(list(batch::counters(numbered).into_iter().map(|counter| json!(counter))))
    .execute(&mut *tx)
    .await?;

    if is_told {
        sqlx::query(
            "INSERT INTO outbox (kind, conversation_id, chat_id, created_at)
             SELECT ?1, conversation_id, id, created_at FROM chats WHERE id BETWEEN ?2 AND ?3
             ORDER BY id",
        )
        .bind(CHAT_CREATED)
        .bind(first)
        .bind(last)
        .execute(tx)
        .await?;
    }
    Ok((taken, now))
}
