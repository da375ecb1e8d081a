//! What waits for whoever keeps order.

use async_trait::async_trait;
use futures_util::FutureExt;

use super::Db;
use crate::store::{Backlog, StoreError, Waiting, error::corrupt};

#[async_trait]
impl Backlog for Db {
    async fn waiting(&self, most: u32) -> Result<Waiting, StoreError> {
        self.read(move |c| {
            async move {
                let (held, reports): (i64, i64) = sqlx::query_as(
                    "SELECT (SELECT count(*) FROM (
                             SELECT id FROM held_chats WHERE until IS NULL LIMIT $1) h),
                         (SELECT count(*) FROM (
                             SELECT id FROM reports WHERE outcome IS NULL LIMIT $1) r)",
                )
                .bind(i64::from(most))
                .fetch_one(c)
                .await?;
                let count = |rows| u32::try_from(rows).map_err(|_| corrupt("a count is none"));
                Ok(Waiting { held: count(held)?, reports: count(reports)? })
            }
            .boxed()
        })
        .await
    }
}
