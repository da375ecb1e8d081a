//! Work that one replica at a time does, by the database's clock.

use std::time::Duration;

use sqlx::PgConnection;

use super::now_millis;
use crate::domain::ReplicaId;

pub(super) async fn take(
    connection: &mut PgConnection,
    name: String,
    replica: ReplicaId,
    lease: Duration,
) -> sqlx::Result<Option<String>> {
    // Who finds it held by another locks and writes nothing. Of two who do not, the second waits for the
    // first, and looks again.
    sqlx::query_scalar(concat!(
        "INSERT INTO jobs (name, holder, until, progress)
         SELECT $1, $2, ",
        now_millis!(),
        " + $3, '' WHERE NOT EXISTS (
             SELECT 1 FROM jobs WHERE name = $1 AND holder <> $2 AND until > ",
        now_millis!(),
        ")
         ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
         WHERE jobs.holder = excluded.holder OR jobs.until <= ",
        now_millis!(),
        " RETURNING progress"
    ))
    .bind(name)
    .bind(replica.get())
    .bind(millis(lease))
    .fetch_optional(connection)
    .await
}

pub(super) async fn save(
    connection: &mut PgConnection,
    name: String,
    replica: ReplicaId,
    progress: String,
    lease: Duration,
) -> sqlx::Result<bool> {
    let saved = sqlx::query(concat!(
        "UPDATE jobs SET progress = $3, until = ",
        now_millis!(),
        " + $4 WHERE name = $1 AND holder = $2"
    ))
    .bind(name)
    .bind(replica.get())
    .bind(progress)
    .bind(millis(lease))
    .execute(connection)
    .await?;
    Ok(saved.rows_affected() > 0)
}

fn millis(lease: Duration) -> i64 {
    i64::try_from(lease.as_millis()).unwrap_or(i64::MAX)
}
