//! What WeChat pushes.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;

use super::{Db, keys::millis, sql};
use crate::store::{EventKept, StoreError, WechatEvent, WechatEvents};

#[async_trait]
impl WechatEvents for Db {
    async fn keep_wechat_event(
        &self,
        key: &str,
        appid: Option<&str>,
        payload: &str,
        max: u32,
    ) -> Result<EventKept, StoreError> {
        let (key, payload) = (key.to_owned(), payload.to_owned());
        let (appid, now) = (appid.map(str::to_owned), self.now());
        self.transaction(move |c| {
            async move {
                let waiting: i64 = sqlx::query_scalar(
                    "SELECT count(*) FROM (
                         SELECT 1 FROM wechat_events WHERE handled_at IS NULL LIMIT $1) w",
                )
                .bind(i64::from(max))
                .fetch_one(&mut *c)
                .await?;
                if waiting >= i64::from(max) {
                    return Ok(EventKept::Full);
                }
                let kept = sqlx::query(concat!(
                    "INSERT INTO wechat_events (key, appid, payload, received_at, next_at)
                     SELECT $1, $2, $3, n.at, n.at FROM (SELECT ",
                    sql!(now "$4"),
                    " AS at) n WHERE true ON CONFLICT (key) DO NOTHING"
                ))
                .bind(key)
                .bind(appid)
                .bind(payload)
                .bind(now)
                .execute(c)
                .await?;
                let is_new = kept.rows_affected() == 1;
                Ok(if is_new { EventKept::New } else { EventKept::Repeat })
            }
            .boxed()
        })
        .await
    }

    async fn due_wechat_events(&self, limit: u32) -> Result<Vec<WechatEvent>, StoreError> {
        let query = sqlx::query_as(concat!(
            "SELECT id, appid, payload, received_at, attempts FROM wechat_events
             WHERE handled_at IS NULL AND next_at <= ",
            sql!(now "$1"),
            " ORDER BY id LIMIT $2"
        ))
        .bind(self.now())
        .bind(i64::from(limit));
        self.read(|c| query.fetch_all(c).boxed()).await
    }

    async fn wechat_event_handled(&self, id: i64) -> Result<(), StoreError> {
        let query = sqlx::query(concat!(
            "UPDATE wechat_events SET payload = NULL, handled_at = ",
            sql!(now "$2"),
            " WHERE id = $1 AND handled_at IS NULL"
        ))
        .bind(id)
        .bind(self.now());
        self.write(|c| query.execute(c).boxed()).await?;
        Ok(())
    }

    async fn postpone_wechat_event(&self, id: i64, pause: Duration) -> Result<(), StoreError> {
        let query = sqlx::query(concat!(
            "UPDATE wechat_events SET attempts = attempts + 1, next_at = ",
            sql!(now "$2"),
            " + $3 WHERE id = $1 AND handled_at IS NULL"
        ))
        .bind(id)
        .bind(self.now())
        .bind(millis(pause));
        self.write(|c| query.execute(c).boxed()).await?;
        Ok(())
    }

    async fn forget_wechat_events(&self, keep: Duration, limit: u32) -> Result<u64, StoreError> {
        let query = sqlx::query(concat!(
            "DELETE FROM wechat_events WHERE id IN (
                 SELECT id FROM wechat_events WHERE handled_at < ",
            sql!(now "$1"),
            " - $2 ORDER BY handled_at LIMIT $3)"
        ))
        .bind(self.now())
        .bind(millis(keep))
        .bind(i64::from(limit));
        Ok(self.write(|c| query.execute(c).boxed()).await?.rows_affected())
    }
}
