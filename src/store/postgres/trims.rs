//! Finds what timelines hold beyond what is to be kept.

use sqlx::PgConnection;

use crate::{
    clock::Timestamp,
    domain::UserId,
    store::{
        TRIM_STEP, TrimPage,
        trims::{self, TrimRow},
    },
};

/// A timeline whose first event is fresh costs one look at it.
pub(super) async fn page(
    connection: &mut PgConnection,
    after: Option<UserId>,
    before: Timestamp,
    keep: u64,
    limit: u32,
) -> sqlx::Result<TrimPage> {
    let rows: Vec<TrimRow> = sqlx::query_as(
        "SELECT t.user_id, t.first_seq, t.last_seq, fresh.seq
         FROM (
             SELECT user_id, first_seq, last_seq FROM timelines WHERE user_id > $1
             ORDER BY user_id LIMIT $2
         ) t LEFT JOIN LATERAL (
             SELECT e.seq FROM timeline_events e
             WHERE e.user_id = t.user_id AND e.seq >= t.first_seq AND e.seq < t.first_seq + $3
                 AND coalesce(e.created_at,
                     (SELECT c.created_at FROM chats c WHERE c.id = e.chat_id AND e.kind = 'chat')) >= $4
             ORDER BY e.seq LIMIT 1
         ) fresh ON true
         ORDER BY t.user_id",
    )
    .bind(after.map_or(0, UserId::get))
    .bind(i64::from(limit))
    .bind(i64::from(TRIM_STEP))
    .bind(before.as_millis())
    .fetch_all(connection)
    .await?;
    trims::page(&rows, keep)
}
