//! What happened to a user, in order.

use std::collections::HashMap;

use async_trait::async_trait;
use futures_util::FutureExt;
use sqlx::{FromRow, Row};

use super::{
    super::dialect::forget_events,
    Db, DbRow, ids,
    own::{LEFT, OWN},
    queries::{chats_query, conversation_version, latest_chats_query, own_columns},
    sql,
};
use crate::{
    clock::Timestamp,
    domain::{Chat, ChatId, ConversationChange, ConversationId, Seq, UserId},
    store::{
        CHANGED, CHAT, CONVERSATION, Change, EventPage, StoreError, TRIM_STEP, TimelineEvent,
        TimelineRange, Timelines, TrimPage,
        rows::{OwnRow, event_page},
        trimming,
    },
};

#[async_trait]
impl Timelines for Db {
    async fn timeline_range(&self, user: UserId) -> Result<TimelineRange, StoreError> {
        let query = sqlx::query_as("SELECT first_seq, last_seq FROM timelines WHERE user_id = $1")
            .bind(user);
        let range = self.read(|c| query.fetch_optional(c).boxed());
        Ok(range.await?.unwrap_or(TimelineRange::EMPTY))
    }

    async fn last_seqs(&self, users: &[UserId]) -> Result<HashMap<UserId, Seq>, StoreError> {
        let query = sqlx::query_as(concat!(
            "SELECT user_id, last_seq FROM timelines WHERE last_seq > 0 AND user_id ",
            sql!(in "$1")
        ))
        .bind(ids(users));
        let rows: Vec<(UserId, Seq)> = self.read(|c| query.fetch_all(c).boxed()).await?;
        Ok(rows.into_iter().collect())
    }

    /// One statement, so one moment: neither an append nor a trim comes between the range and the events.
    async fn events(&self, user: UserId, since: Seq, limit: u32) -> Result<EventPage, StoreError> {
        self.read(move |c| {
            async move {
                let rows = sqlx::query(chats_query!(
                    concat!(
                        "b.first_seq, b.last_seq, e.seq, e.kind AS event, e.chat_id AS event_chat,
                         e.payload, e.conversation_id AS event_conversation,
                         c.id <= m.cleared_up_to OR EXISTS (SELECT 1 FROM hidden_chats h
                             WHERE h.user_id = $1 AND h.chat_id = e.chat_id) AS is_gone, ",
                        own_columns!(),
                        ","
                    ),
                    "FROM timelines b
                     LEFT JOIN (
                         SELECT x.seq, x.kind, x.chat_id, x.payload, x.conversation_id
                         FROM timeline_events x
                         WHERE x.user_id = $1 AND x.seq > $2 ORDER BY x.seq LIMIT $3
                     ) e ON b.first_seq <= $2 + 1 AND e.seq <= b.last_seq
                     LEFT JOIN chats c ON c.id = e.chat_id
                     LEFT JOIN conversations g ON g.id = e.conversation_id
                     LEFT JOIN members m ON m.user_id = $1
                         AND m.conversation_id = coalesce(c.conversation_id, e.conversation_id)",
                    "WHERE b.user_id = $1 ORDER BY e.seq"
                ))
                .bind(user)
                .bind(since)
                .bind(i64::from(limit))
                .fetch_all(c)
                .await?;
                let range =
                    rows.first().map_or(Ok(TimelineRange::EMPTY), TimelineRange::from_row)?;
                if since.next() < range.first || since >= range.last {
                    return Ok(EventPage { range, events: Vec::new() });
                }
                // Bounds without an event are one row, too.
                let events = rows.iter().filter_map(|row| event(row).transpose());
                event_page(user, range, since, limit, events.collect::<sqlx::Result<_>>()?)
            }
            .boxed()
        })
        .await
    }

    async fn latest_chats(&self, user: UserId, limit: u32) -> Result<Vec<Chat>, StoreError> {
        let query = sqlx::query_as(latest_chats_query!(sql!(latest_of_each)))
            .bind(user)
            .bind(i64::from(limit));
        self.read(|c| query.fetch_all(c).boxed()).await
    }

    /// A timeline whose first event is fresh costs one look at it.
    async fn trims(
        &self,
        after: Option<UserId>,
        before: Timestamp,
        keep: u64,
        limit: u32,
    ) -> Result<TrimPage, StoreError> {
        self.read(move |c| {
            async move {
                let rows: Vec<trimming::TrimRow> = sqlx::query_as(
                    "SELECT t.user_id, t.first_seq, t.last_seq,
                         (SELECT e.seq FROM timeline_events e
                          WHERE e.user_id = t.user_id AND e.seq >= t.first_seq
                              AND e.seq < t.first_seq + $3
                              AND coalesce(e.created_at,
                                  (SELECT c.created_at FROM chats c
                                   WHERE c.id = e.chat_id AND e.kind = 'chat')) >= $4
                          ORDER BY e.seq LIMIT 1) AS fresh_seq
                     FROM timelines t WHERE t.user_id > $1 ORDER BY t.user_id LIMIT $2",
                )
                .bind(after.map_or(0, UserId::get))
                .bind(i64::from(limit))
                .bind(i64::from(TRIM_STEP))
                .bind(before)
                .fetch_all(c)
                .await?;
                trimming::page(&rows, keep)
            }
            .boxed()
        })
        .await
    }

    async fn trim_timeline(&self, user: UserId, up_to: Seq) -> Result<(), StoreError> {
        self.write(move |c| forget_events(c, user, up_to).boxed()).await
    }
}

/// An event, in columns `seq`, `event`, `event_chat`, `payload` and those of `chats_query!`; `None` in a row
/// without an event.
fn event(row: &DbRow) -> sqlx::Result<Option<TimelineEvent>> {
    let Some(seq) = row.try_get("seq")? else { return Ok(None) };
    let kind: String = row.try_get("event")?;
    let chat = || Chat::from_row(row).map(Box::new);
    let chat_id: Option<ChatId> = row.try_get("event_chat")?;
    let about: Option<ConversationId> = row.try_get("event_conversation")?;
    // NULL where no chat is there.
    let is_gone = row.try_get::<Option<bool>, _>("is_gone")? == Some(true);
    let change = match (kind.as_str(), chat_id, about) {
        (CHAT | CHANGED, Some(id), _) if is_gone => {
            Change::Gone { chat: id, conversation: chat()?.conversation_id }
        }
        (CHAT, ..) => Change::Chat(chat()?),
        (CHANGED, Some(_), _) => Change::Changed(chat()?),
        (CONVERSATION, None, Some(_)) => {
            let payload: Option<String> = row.try_get("payload")?;
            let now = OwnRow::from_row(row)?.into_change(payload.as_deref() == Some(OWN))?;
            let seen = now.seen.filter(|_| payload.as_deref() != Some(LEFT));
            Change::Conversation(Box::new(ConversationChange { seen, ..now }))
        }
        _ => {
            let chat = chat_id.map(|_| chat()).transpose()?;
            Change::Other { kind, chat, payload: row.try_get("payload")? }
        }
    };
    Ok(Some(TimelineEvent { seq, change }))
}
