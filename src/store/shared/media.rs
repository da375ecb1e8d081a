//! Uploads, and which chats show them.
//!
//! A chat that shows media shares the lock of their rows until it commits, in the order of their ids, and
//! finds only those that are kept. A collection locks the rows alone, and only then, in a statement of its
//! own, asks whether a chat shows them: so it sees every chat that had the lock before. Of the two one is
//! first, and the other one knows.

use std::{collections::BTreeSet, time::Duration};

use async_trait::async_trait;
use futures_util::FutureExt;

use super::{
    super::dialect::Now,
    Conn, Db, ids,
    queries::{is_readable, was_member},
    sql, texts,
};
use crate::{
    clock::Timestamp,
    domain::{ChatId, Media, MediaId, MediaShape, UserId, media::millis},
    store::{
        MediaKey, MediaRecords, StoreError,
        media::{KeyRow, MediaRow},
    },
};

/// The columns of a [`MediaRow`], of a table called `f`.
macro_rules! media_columns {
    () => {
        "f.id, f.owner_id, f.kind, f.content_type, f.size, f.sha256, f.width, f.height,
         f.thumb_size, f.duration_ms, f.name"
    };
}
pub(super) use media_columns;

#[async_trait]
impl MediaRecords for Db {
    async fn begin_media(&self, media: &Media) -> Result<(), StoreError> {
        let (media, now) = (media.clone(), self.now());
        self.write(move |c| insert(c, media, now).boxed()).await
    }

    async fn keep_media(&self, id: MediaId) -> Result<bool, StoreError> {
        let query =
            sqlx::query("UPDATE media SET state = 'kept' WHERE id = $1 AND state = 'storing'")
                .bind(id);
        Ok(self.write(|c| query.execute(c).boxed()).await?.rows_affected() > 0)
    }

    async fn media(&self, id: MediaId) -> Result<Option<Media>, StoreError> {
        self.read(move |c| {
            async move {
                let row: Option<MediaRow> = sqlx::query_as(concat!(
                    "SELECT ",
                    media_columns!(),
                    " FROM media f WHERE f.id = $1 AND f.state = 'kept'"
                ))
                .bind(id)
                .fetch_optional(c)
                .await?;
                row.map(TryInto::try_into).transpose()
            }
            .boxed()
        })
        .await
    }

    async fn sendable_media(&self, user: UserId, id: MediaId) -> Result<Option<Media>, StoreError> {
        self.read(move |c| {
            async move {
                let row: Option<MediaRow> = sqlx::query_as(concat!(
                    "SELECT ",
                    media_columns!(),
                    " FROM media f WHERE f.id = $1 AND f.state = 'kept' AND (
                         f.owner_id = $2
                         OR EXISTS (
                             SELECT 1 FROM chat_media x
                             JOIN chats c ON c.id = x.chat_id AND c.state IS NULL
                             JOIN members m ON m.conversation_id = c.conversation_id
                                 AND m.user_id = $2 AND m.state = 'member'
                             WHERE x.media_id = f.id AND ",
                    is_readable!(),
                    "))"
                ))
                .bind(id)
                .bind(user)
                .fetch_optional(c)
                .await?;
                row.map(TryInto::try_into).transpose()
            }
            .boxed()
        })
        .await
    }

    async fn collect_media(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<MediaId>, StoreError> {
        self.transaction(move |c| collect(c, before, limit).boxed()).await
    }

    async fn forget_media(&self, media: &[MediaId]) -> Result<(), StoreError> {
        let media = media.to_vec();
        self.write(move |c| {
            async move {
                let ids: Vec<_> = media.iter().map(ToString::to_string).collect();
                sqlx::query(concat!(
                    "DELETE FROM media WHERE state = 'deleting' AND id ",
                    sql!(in "$1")
                ))
                .bind(texts(ids.iter().map(String::as_str)))
                .execute(c)
                .await?;
                Ok(())
            }
            .boxed()
        })
        .await
    }

    async fn ensure_media_key(&self, secret: [u8; 32]) -> Result<(), StoreError> {
        let query = sqlx::query(concat!(
            "INSERT INTO media_keys (secret, created_at) SELECT $1, ",
            sql!(now "$2"),
            " WHERE NOT EXISTS (SELECT 1 FROM media_keys)"
        ))
        .bind(secret.to_vec())
        .bind(self.now());
        self.write(|c| query.execute(c).boxed()).await?;
        Ok(())
    }

    async fn rotate_media_key(&self, secret: [u8; 32], keep: Duration) -> Result<i64, StoreError> {
        let now = self.now();
        self.transaction(move |c| rotate(c, secret, keep, now).boxed()).await
    }

    async fn media_keys(&self) -> Result<Vec<MediaKey>, StoreError> {
        self.read(|c| {
            async move {
                let rows: Vec<KeyRow> = sqlx::query_as(
                    "SELECT id, secret, created_at FROM media_keys ORDER BY id DESC",
                )
                .fetch_all(c)
                .await?;
                rows.into_iter().map(TryInto::try_into).collect()
            }
            .boxed()
        })
        .await
    }
}

async fn insert(connection: &mut Conn, media: Media, now: Now) -> sqlx::Result<()> {
    let bytes = |size: u64| i64::try_from(size).unwrap_or(i64::MAX);
    let (mut image, mut duration, mut name) = ((None, None, None), None, None);
    match &media.shape {
        MediaShape::Image { width, height, thumb_size } => {
            image = (Some(i64::from(*width)), Some(i64::from(*height)), Some(bytes(*thumb_size)));
        }
        MediaShape::Voice { duration: of } => duration = Some(i64::from(millis(*of))),
        MediaShape::File { name: of } => name = Some(of.as_str()),
    }
    let (width, height, thumb_size) = image;
    sqlx::query(concat!(
        "INSERT INTO media (id, owner_id, kind, content_type, size, sha256, width, height,
             thumb_size, duration_ms, name, created_at, unused_since)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, n.now, n.now FROM (SELECT ",
        sql!(now "$12"),
        " AS now) n"
    ))
    .bind(media.id)
    .bind(media.owner)
    .bind(media.kind().as_str())
    .bind(&media.content_type)
    .bind(bytes(media.size))
    .bind(&media.sha256[..])
    .bind(width)
    .bind(height)
    .bind(thumb_size)
    .bind(duration)
    .bind(name)
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}

/// Shares the lock of these, in the order of their ids, until the transaction ends. Returns those that are
/// kept: a chat may show them.
pub(super) async fn lock_media(
    connection: &mut Conn,
    media: &BTreeSet<MediaId>,
) -> sqlx::Result<BTreeSet<MediaId>> {
    let ids: Vec<_> = media.iter().map(ToString::to_string).collect();
    let kept: Vec<_> = sqlx::query_scalar(concat!(
        "SELECT id FROM media WHERE state = 'kept' AND id ",
        sql!(in "$1"),
        " ORDER BY id",
        sql!(for "KEY SHARE")
    ))
    .bind(texts(ids.iter().map(String::as_str)))
    .fetch_all(connection)
    .await?;
    Ok(kept.into_iter().collect())
}

/// Notes that a chat shows what [`lock_media`] has found. A transaction notes media in the order of their
/// ids.
pub(super) async fn note_media(
    connection: &mut Conn,
    chat: ChatId,
    media: MediaId,
) -> sqlx::Result<()> {
    sqlx::query("UPDATE media SET unused_since = NULL WHERE id = $1 AND unused_since IS NOT NULL")
        .bind(media)
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "INSERT INTO chat_media (chat_id, media_id) VALUES ($1, $2)
         ON CONFLICT (chat_id, media_id) DO NOTHING",
    )
    .bind(chat)
    .bind(media)
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes that these chats show nothing any more.
pub(super) async fn release_media(
    connection: &mut Conn,
    chats: &[ChatId],
    now: Now,
) -> sqlx::Result<()> {
    let shown: Vec<String> = sqlx::query_scalar(concat!(
        "DELETE FROM chat_media WHERE chat_id ",
        sql!(in "$1"),
        " RETURNING media_id"
    ))
    .bind(ids(chats))
    .fetch_all(&mut *connection)
    .await?;
    if shown.is_empty() {
        return Ok(());
    }
    let shown = || texts(shown.iter().map(String::as_str));
    // Of a chat that is about to show one of them, this waits for the end.
    sqlx::query(concat!(
        "SELECT 1 FROM media WHERE id ",
        sql!(in "$1"),
        " ORDER BY id",
        sql!(for "UPDATE")
    ))
    .bind(shown())
    .execute(&mut *connection)
    .await?;
    sqlx::query(concat!(
        "UPDATE media SET unused_since = ",
        sql!(now "$2"),
        " WHERE id ",
        sql!(in "$1"),
        " AND NOT EXISTS (SELECT 1 FROM chat_media x WHERE x.media_id = media.id)"
    ))
    .bind(shown())
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}

async fn collect(
    connection: &mut Conn,
    before: Timestamp,
    limit: u32,
) -> sqlx::Result<Vec<MediaId>> {
    // One that is locked is being sent.
    let unused: Vec<String> = sqlx::query_scalar(concat!(
        "SELECT id FROM media WHERE unused_since < $1
             AND NOT EXISTS (SELECT 1 FROM held_chats h WHERE h.media_id = media.id)
             AND NOT EXISTS (
                 SELECT 1 FROM reports r WHERE r.media_id = media.id AND r.outcome IS NULL)
         ORDER BY unused_since LIMIT $2",
        sql!(for "UPDATE SKIP LOCKED")
    ))
    .bind(before)
    .bind(i64::from(limit))
    .fetch_all(&mut *connection)
    .await?;
    sqlx::query_scalar(concat!(
        "UPDATE media SET state = 'deleting' WHERE unused_since IS NOT NULL AND id ",
        sql!(in "$1"),
        " AND NOT EXISTS (SELECT 1 FROM chat_media x WHERE x.media_id = media.id)
         AND NOT EXISTS (SELECT 1 FROM held_chats h WHERE h.media_id = media.id)
         AND NOT EXISTS (
             SELECT 1 FROM reports r WHERE r.media_id = media.id AND r.outcome IS NULL)
         RETURNING id"
    ))
    .bind(texts(unused.iter().map(String::as_str)))
    .fetch_all(connection)
    .await
}

async fn rotate(
    connection: &mut Conn,
    secret: [u8; 32],
    keep: Duration,
    now: Now,
) -> sqlx::Result<i64> {
    let (id, made_at): (i64, Timestamp) = sqlx::query_as(concat!(
        "INSERT INTO media_keys (secret, created_at) VALUES ($1, ",
        sql!(now "$2"),
        ") RETURNING id, created_at"
    ))
    .bind(secret.to_vec())
    .bind(now)
    .fetch_one(&mut *connection)
    .await?;
    // A key was replaced when the next one was made.
    sqlx::query(
        "DELETE FROM media_keys WHERE id IN (
             SELECT k.id FROM media_keys k
             WHERE (SELECT min(n.created_at) FROM media_keys n WHERE n.id > k.id) < $1
         )",
    )
    .bind(made_at.before(keep))
    .execute(connection)
    .await?;
    Ok(id)
}
