//! Leases of work.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;

use super::{Db, sql};
use crate::{
    domain::ReplicaId,
    store::{Jobs, StoreError},
};

#[async_trait]
impl Jobs for Db {
    async fn take_job(
        &self,
        name: &str,
        replica: ReplicaId,
        lease: Duration,
    ) -> Result<Option<String>, StoreError> {
        let (name, now) = (name.to_owned(), self.now());
        // A replica that finds it held by another locks and writes nothing. Of two that do not, the second
        // waits for the first, and looks again.
        let query = sqlx::query_scalar(concat!(
            "INSERT INTO jobs (name, holder, until, progress)
                 SELECT $1, $2, ",
            sql!(now "$4"),
            " + $3, '' WHERE NOT EXISTS (
                     SELECT 1 FROM jobs WHERE name = $1 AND holder <> $2 AND until > ",
            sql!(now "$4"),
            ")
                 ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
                 WHERE jobs.holder = excluded.holder OR jobs.until <= ",
            sql!(now "$4"),
            " RETURNING progress"
        ))
        .bind(name)
        .bind(replica)
        .bind(millis(lease))
        .bind(now);
        self.write(|c| query.fetch_optional(c).boxed()).await
    }

    async fn save_job(
        &self,
        name: &str,
        replica: ReplicaId,
        progress: &str,
        lease: Duration,
    ) -> Result<bool, StoreError> {
        let (name, progress, now) = (name.to_owned(), progress.to_owned(), self.now());
        let query = sqlx::query(concat!(
            "UPDATE jobs SET progress = $3, until = ",
            sql!(now "$5"),
            " + $4 WHERE name = $1 AND holder = $2"
        ))
        .bind(name)
        .bind(replica)
        .bind(progress)
        .bind(millis(lease))
        .bind(now);
        Ok(self.write(|c| query.execute(c).boxed()).await?.rows_affected() > 0)
    }

    async fn job_progress(&self, name: &str) -> Result<Option<String>, StoreError> {
        let query =
            sqlx::query_scalar("SELECT progress FROM jobs WHERE name = $1").bind(name.to_owned());
        self.read(|c| query.fetch_optional(c).boxed()).await
    }

    async fn move_job(&self, name: &str, was: &str, progress: &str) -> Result<bool, StoreError> {
        let query = sqlx::query(
            "UPDATE jobs SET holder = $4, until = 0, progress = $3
             WHERE name = $1 AND progress = $2",
        )
        .bind(name.to_owned())
        .bind(was.to_owned())
        .bind(progress.to_owned())
        .bind(ReplicaId::random());
        Ok(self.write(|c| query.execute(c).boxed()).await?.rows_affected() > 0)
    }
}

/// A lease, short enough to be added to a time.
fn millis(lease: Duration) -> i64 {
    i64::try_from(lease.as_millis()).unwrap_or(i64::MAX).min(1 << 53)
}
