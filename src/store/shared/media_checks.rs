//! Checks of pictures and voice messages, whose results come later.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use sqlx::FromRow;

use super::{super::dialect::Now, Conn, Db, keys::millis, sql};
use crate::{
    clock::Timestamp,
    domain::{ChatId, HeldId, Media, MediaId, MediaKind, UserId},
    store::{CheckState, CheckedChat, DueCheck, MediaChecks, StoreError, error::corrupt},
};

#[async_trait]
impl MediaChecks for Db {
    async fn want_check(&self, media: &Media, sender: UserId) -> Result<CheckState, StoreError> {
        let (media, now) = (media.clone(), self.now());
        self.transaction(move |c| async move { want(c, &media, sender, now).await }.boxed()).await
    }

    async fn due_checks(&self, limit: u32) -> Result<Vec<DueCheck>, StoreError> {
        let query = sqlx::query_as(concat!(
            "SELECT media_id, kind, sender_id, created_at, attempts FROM media_checks
             WHERE state = 'due' AND next_at <= ",
            sql!(now "$1"),
            " ORDER BY next_at LIMIT $2"
        ))
        .bind(self.now())
        .bind(i64::from(limit));
        self.read(|c| {
            async move {
                let rows: Vec<DueRow> = query.fetch_all(c).await?;
                rows.into_iter().map(DueRow::into_due).collect()
            }
            .boxed()
        })
        .await
    }

    async fn check_asked(
        &self,
        media: MediaId,
        trace_id: &str,
        wait: Duration,
    ) -> Result<(), StoreError> {
        let query = sqlx::query(concat!(
            "UPDATE media_checks SET state = 'asked', trace_id = $2, next_at = ",
            sql!(now "$3"),
            " + $4 WHERE media_id = $1 AND state = 'due'"
        ))
        .bind(media)
        .bind(trace_id.to_owned())
        .bind(self.now())
        .bind(millis(wait));
        self.write(|c| query.execute(c).boxed()).await?;
        Ok(())
    }

    async fn postpone_check(&self, media: MediaId, pause: Duration) -> Result<(), StoreError> {
        let query = sqlx::query(concat!(
            "UPDATE media_checks SET attempts = attempts + 1, next_at = ",
            sql!(now "$2"),
            " + $3 WHERE media_id = $1 AND state = 'due'"
        ))
        .bind(media)
        .bind(self.now())
        .bind(millis(pause));
        self.write(|c| query.execute(c).boxed()).await?;
        Ok(())
    }

    async fn end_check(&self, media: MediaId, state: CheckState) -> Result<(), StoreError> {
        let query = sqlx::query(concat!(
            "UPDATE media_checks SET state = $2, decided_at = ",
            sql!(now "$3"),
            " WHERE media_id = $1 AND state = 'due'"
        ))
        .bind(media)
        .bind(state.as_str())
        .bind(self.now());
        self.write(|c| query.execute(c).boxed()).await?;
        Ok(())
    }

    async fn end_check_by_trace(
        &self,
        trace_id: &str,
        state: CheckState,
    ) -> Result<bool, StoreError> {
        let (trace_id, now) = (trace_id.to_owned(), self.now());
        self.transaction(move |c| {
            async move {
                sqlx::query(concat!(
                    "UPDATE media_checks SET state = $2, decided_at = ",
                    sql!(now "$3"),
                    " WHERE trace_id = $1 AND state IN ('asked', 'failed')"
                ))
                .bind(&trace_id)
                .bind(state.as_str())
                .bind(now)
                .execute(&mut *c)
                .await?;
                sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM media_checks WHERE trace_id = $1)")
                    .bind(&trace_id)
                    .fetch_one(c)
                    .await
            }
            .boxed()
        })
        .await
    }

    async fn fail_late_checks(&self) -> Result<u64, StoreError> {
        let now = self.now();
        let query = sqlx::query(concat!(
            "UPDATE media_checks SET state = 'failed', decided_at = ",
            sql!(now "$1"),
            " WHERE state = 'asked' AND next_at <= ",
            sql!(now "$1")
        ))
        .bind(now);
        Ok(self.write(|c| query.execute(c).boxed()).await?.rows_affected())
    }

    async fn checked_chats(
        &self,
        states: &[CheckState],
        within: Duration,
        limit: u32,
    ) -> Result<Vec<CheckedChat>, StoreError> {
        let is = |state| states.contains(&state);
        let (risky, unable, failed) =
            (is(CheckState::Risky), is(CheckState::Unable), is(CheckState::Failed));
        let sent = sqlx::query_as(concat!(
            "SELECT m.chat_id, c.state FROM media_checks c
             JOIN chat_media m ON m.media_id = c.media_id
             WHERE c.decided_at > ",
            sql!(now "$1"),
            " - $2 AND ((c.state = 'risky' AND $3) OR (c.state = 'unable' AND $4)
                 OR (c.state = 'failed' AND $5))
             ORDER BY m.chat_id LIMIT $6"
        ))
        .bind(self.now())
        .bind(millis(within))
        .bind(risky)
        .bind(unable)
        .bind(failed)
        .bind(i64::from(limit));
        let held = sqlx::query_as(
            "SELECT h.id, c.state, h.awaits_check FROM held_chats h
             JOIN media_checks c ON c.media_id = h.media_id
             WHERE h.until IS NULL AND c.decided_at IS NOT NULL
                 AND (h.awaits_check OR c.state = 'risky')
             ORDER BY h.id LIMIT $1",
        )
        .bind(i64::from(limit));
        self.read(|c| {
            async move {
                let sent: Vec<(ChatId, String)> = sent.fetch_all(&mut *c).await?;
                let held: Vec<(HeldId, String, bool)> = held.fetch_all(c).await?;
                let sent =
                    sent.into_iter().map(|(id, word)| Ok(CheckedChat::Sent(id, state(&word)?)));
                let held = held
                    .into_iter()
                    .map(|(id, word, awaits)| Ok(CheckedChat::Held(id, state(&word)?, awaits)));
                sent.chain(held).collect()
            }
            .boxed()
        })
        .await
    }

    async fn keep_held(&self, held: HeldId) -> Result<(), StoreError> {
        let query =
            sqlx::query("UPDATE held_chats SET awaits_check = false WHERE id = $1").bind(held);
        self.write(|c| query.execute(c).boxed()).await?;
        Ok(())
    }

    async fn forget_checks(
        &self,
        keep: Duration,
        keep_risky: Duration,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let query = sqlx::query(concat!(
            "DELETE FROM media_checks WHERE media_id IN (
                 SELECT media_id FROM media_checks WHERE decided_at < ",
            sql!(now "$1"),
            " - CASE WHEN state = 'risky' THEN $3 ELSE $2 END
                 ORDER BY decided_at LIMIT $4)"
        ))
        .bind(self.now())
        .bind(millis(keep))
        .bind(millis(keep_risky))
        .bind(i64::from(limit));
        Ok(self.write(|c| query.execute(c).boxed()).await?.rows_affected())
    }
}

#[derive(FromRow)]
struct DueRow {
    media_id: MediaId,
    kind: String,
    sender_id: Option<UserId>,
    created_at: Timestamp,
    attempts: i64,
}

impl DueRow {
    fn into_due(self) -> sqlx::Result<DueCheck> {
        let kind = MediaKind::parse(&self.kind);
        Ok(DueCheck {
            media: self.media_id,
            kind: kind.ok_or_else(|| corrupt("a check is of no kind of media"))?,
            sender: self.sender_id,
            created_at: self.created_at,
            attempts: self.attempts,
        })
    }
}

fn state(word: &str) -> sqlx::Result<CheckState> {
    CheckState::parse(word).ok_or_else(|| corrupt("a check of a medium has no state"))
}

async fn want(
    connection: &mut Conn,
    media: &Media,
    sender: UserId,
    now: Now,
) -> sqlx::Result<CheckState> {
    let known: Option<String> = sqlx::query_scalar(
        "SELECT state FROM media_checks WHERE sha256 = $1 AND state IN ('risky', 'pass')
         ORDER BY state DESC LIMIT 1",
    )
    .bind(media.sha256.to_vec())
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(known) = known {
        return state(&known);
    }
    let word: String = sqlx::query_scalar(concat!(
        "INSERT INTO media_checks (media_id, sha256, kind, sender_id, state, next_at, created_at)
         SELECT $1, $2, $3, $4, 'due', n.at, n.at FROM (SELECT ",
        sql!(now "$5"),
        " AS at) n WHERE true
         ON CONFLICT (media_id) DO UPDATE SET
             state = CASE WHEN media_checks.state IN ('unable', 'failed') THEN 'due'
                 ELSE media_checks.state END,
             sender_id = CASE WHEN media_checks.state IN ('unable', 'failed')
                 THEN excluded.sender_id ELSE media_checks.sender_id END,
             attempts = CASE WHEN media_checks.state IN ('unable', 'failed') THEN 0
                 ELSE media_checks.attempts END,
             next_at = CASE WHEN media_checks.state IN ('unable', 'failed')
                 THEN excluded.next_at ELSE media_checks.next_at END,
             created_at = CASE WHEN media_checks.state IN ('unable', 'failed')
                 THEN excluded.created_at ELSE media_checks.created_at END,
             decided_at = CASE WHEN media_checks.state IN ('unable', 'failed') THEN NULL
                 ELSE media_checks.decided_at END
         RETURNING state"
    ))
    .bind(media.id)
    .bind(media.sha256.to_vec())
    .bind(media.kind().as_str())
    .bind(sender)
    .bind(now)
    .fetch_one(connection)
    .await?;
    state(&word)
}
