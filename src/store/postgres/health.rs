//! Whether the database answers, and whether it takes what is written.

use sqlx::{Connection, PgConnection};

use crate::store::Access;

pub(super) async fn ping(connection: &mut PgConnection) -> sqlx::Result<Access> {
    // A standby says so too.
    let only_reads = sqlx::query_scalar("SELECT current_setting('transaction_read_only')::bool")
        .fetch_one(connection)
        .await?;
    Ok(if only_reads { Access::Reads } else { Access::Writes })
}

/// Writes what a batch writes, takes it back, and commits the rest, which is nothing. So it needs the
/// same locks, room on the disk, and whoever a commit waits for. The text is one that cannot be
/// compressed, for which the tables grow by some pages.
pub(super) async fn try_writing(connection: &mut PgConnection) -> sqlx::Result<()> {
    let mut transaction = connection.begin().await?;
    let mut trial = transaction.begin().await?;
    // Nobody has this id, and no two sessions try the same one.
    sqlx::query(
        "WITH trial (id) AS (VALUES (-pg_backend_pid()::bigint)), counter AS (
             INSERT INTO timelines (user_id, first_seq, last_seq) SELECT id, 1, 1 FROM trial
         ), event AS (
             INSERT INTO timeline_events (user_id, seq, kind, chat_id)
             SELECT id, 1, 'chat', id FROM trial
         )
         INSERT INTO chats (id, conversation_id, sender_id, sender_seq, client_msg_id, kind, content,
             created_at)
         SELECT id, id, id, 1, 'trial', 'text',
             (SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 1500)), 0
         FROM trial",
    )
    .execute(&mut *trial)
    .await?;
    trial.rollback().await?;
    transaction.commit().await
}
