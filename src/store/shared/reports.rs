//! What people report.

use std::collections::BTreeSet;

use async_trait::async_trait;
use futures_util::FutureExt;
use serde_json::json;
use sqlx::FromRow;

use super::{
    super::dialect::Now,
    Conn, Db,
    media::lock_media,
    outbox::tell,
    queries::{chats_query, is_readable, was_member},
    sql,
};
use crate::{
    clock::Timestamp,
    domain::{Chat, ChatId, MediaId, ReportId, ReportReason, UserId},
    store::{
        NewReport, REPORT_CREATED, Report, ReportAbout, ReportPage, Reported, Reports, StoreError,
        error::corrupt, rows::cut,
    },
};

/// The columns of a [`ReportRow`].
macro_rules! report_columns {
    () => {
        "SELECT id, reporter_id, reported_id, chat_id, chat, reason, detail, created_at, outcome
         FROM reports "
    };
}

#[async_trait]
impl Reports for Db {
    async fn report(&self, new: &NewReport) -> Result<Reported, StoreError> {
        let (new, now) = (new.clone(), self.now());
        self.transaction(move |c| async move { report(c, new, now).await }.boxed()).await
    }

    async fn open_reports(
        &self,
        after: Option<ReportId>,
        limit: u32,
    ) -> Result<ReportPage, StoreError> {
        self.read(move |c| {
            async move {
                let rows: Vec<ReportRow> = sqlx::query_as(concat!(
                    report_columns!(),
                    "WHERE outcome IS NULL AND id > $1 ORDER BY id LIMIT $2"
                ))
                .bind(after.map_or(0, ReportId::get))
                .bind(i64::from(limit) + 1)
                .fetch_all(c)
                .await?;
                let (rows, has_more) = cut(rows, limit);
                let reports = rows.into_iter().map(ReportRow::into_report);
                Ok(ReportPage { reports: reports.collect::<sqlx::Result<_>>()?, has_more })
            }
            .boxed()
        })
        .await
    }

    async fn find_report(&self, id: ReportId) -> Result<Option<Report>, StoreError> {
        self.read(move |c| {
            async move {
                let row: Option<ReportRow> =
                    sqlx::query_as(concat!(report_columns!(), "WHERE id = $1"))
                        .bind(id)
                        .fetch_optional(c)
                        .await?;
                row.map(ReportRow::into_report).transpose()
            }
            .boxed()
        })
        .await
    }

    async fn close_report(&self, id: ReportId, outcome: &str) -> Result<(), StoreError> {
        let query = sqlx::query("UPDATE reports SET outcome = $2 WHERE id = $1")
            .bind(id)
            .bind(outcome.to_owned());
        self.write(|c| query.execute(c).boxed()).await?;
        Ok(())
    }
}

#[derive(FromRow)]
struct ReportRow {
    id: ReportId,
    reporter_id: UserId,
    reported_id: UserId,
    chat_id: Option<ChatId>,
    chat: Option<String>,
    reason: String,
    detail: Option<String>,
    created_at: Timestamp,
    outcome: Option<String>,
}

impl ReportRow {
    fn into_report(self) -> sqlx::Result<Report> {
        let reason = ReportReason::parse(&self.reason);
        Ok(Report {
            id: self.id,
            reporter: self.reporter_id,
            reported: self.reported_id,
            chat_id: self.chat_id,
            chat: self.chat.map(Into::into),
            reason: reason.ok_or_else(|| corrupt("the reason of a report is none"))?,
            detail: self.detail,
            created_at: self.created_at,
            outcome: self.outcome,
        })
    }
}

async fn report(connection: &mut Conn, new: NewReport, now: Now) -> sqlx::Result<Reported> {
    let NewReport { reporter, about, reason, detail } = new;
    let (reported, chat) = match about {
        ReportAbout::User(user) => (user, None),
        ReportAbout::Chat(id) => {
            let Some(chat) = readable(connection, reporter, id).await? else {
                return Ok(Reported::ChatNotFound);
            };
            (chat.user_id, Some(chat))
        }
    };
    if reported == reporter {
        return Ok(Reported::Oneself);
    }
    // An erasure of the user waits for the end, and then takes the copy; so does a repeat of the reporter. Both
    // users in the order of their ids: they may report each other.
    let locked: Vec<UserId> = sqlx::query_scalar(concat!(
        "SELECT id FROM users
         WHERE id = $1 OR (id = $2 AND (erased_at IS NULL OR $3)) ORDER BY id",
        sql!(for "NO KEY UPDATE")
    ))
    .bind(reporter)
    .bind(reported)
    .bind(chat.is_some())
    .fetch_all(&mut *connection)
    .await?;
    if !locked.contains(&reported) {
        return Ok(Reported::UserNotFound);
    }
    let chat_id = chat.as_ref().map(|chat| chat.id);
    let open: Option<ReportId> = sqlx::query_scalar(
        "SELECT id FROM reports WHERE reporter_id = $1 AND reported_id = $2
             AND chat_id IS NOT DISTINCT FROM $3 AND outcome IS NULL ORDER BY id LIMIT 1",
    )
    .bind(reporter)
    .bind(reported)
    .bind(chat_id)
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(open) = open {
        return Ok(Reported::Noted(open));
    }
    let media = match chat_id {
        Some(chat) => shown(connection, chat).await?,
        None => None,
    };
    let copy = chat.as_ref().map(own_words).transpose();
    let copy = copy.map_err(|error| sqlx::Error::Encode(error.into()))?;
    let id: ReportId = sqlx::query_scalar(concat!(
        "INSERT INTO reports
             (reporter_id, reported_id, chat_id, chat, reason, detail, media_id, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, ",
        sql!(now "$8"),
        ") RETURNING id"
    ))
    .bind(reporter)
    .bind(reported)
    .bind(chat_id)
    .bind(copy)
    .bind(reason.as_str())
    .bind(detail)
    .bind(media)
    .bind(now)
    .fetch_one(&mut *connection)
    .await?;
    let told = json!({"id": id, "userId": reporter, "reportedUserId": reported, "chatId": chat_id,
        "reason": reason});
    tell(connection, REPORT_CREATED, None, None, Some(told), now).await?;
    Ok(Reported::Noted(id))
}

/// What a chat shows. It is not collected until the transaction ends.
async fn shown(connection: &mut Conn, chat: ChatId) -> sqlx::Result<Option<MediaId>> {
    let shown: Vec<MediaId> =
        sqlx::query_scalar("SELECT media_id FROM chat_media WHERE chat_id = $1")
            .bind(chat)
            .fetch_all(&mut *connection)
            .await?;
    if shown.is_empty() {
        return Ok(None);
    }
    Ok(lock_media(connection, &shown.into_iter().collect::<BTreeSet<_>>()).await?.pop_first())
}

/// A copy of a chat without what is not its sender's: an erasure of the sender takes all of it.
fn own_words(chat: &Chat) -> serde_json::Result<String> {
    let mut copy = serde_json::to_value(chat)?;
    if let Some(copy) = copy.as_object_mut() {
        copy.remove("targetUserName");
        if let Some(quoted) = copy.get_mut("replyTo") {
            *quoted = json!({"id": quoted["id"]});
        }
    }
    Ok(copy.to_string())
}

/// A chat that a user may read, as a member or as a former one.
async fn readable(connection: &mut Conn, user: UserId, chat: ChatId) -> sqlx::Result<Option<Chat>> {
    sqlx::query_as(chats_query!(
        "",
        "FROM chats c JOIN members m ON m.conversation_id = c.conversation_id AND m.user_id = $2",
        concat!("WHERE c.id = $1 AND ", is_readable!())
    ))
    .bind(chat)
    .bind(user)
    .fetch_optional(connection)
    .await
}
