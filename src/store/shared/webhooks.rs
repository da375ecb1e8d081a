//! Deliveries of webhooks that did not succeed at once.

use async_trait::async_trait;
use futures_util::FutureExt;

use super::{Conn, Db, ids, sql};
use crate::{
    clock::Timestamp,
    domain::OutboxId,
    store::{Delivery, OutboxEntry, Parked, ParkedLane, StoreError, Webhooks},
};

/// The columns of a [`Delivery`].
macro_rules! columns {
    () => {
        "d.id, d.kind, d.conversation_id, d.chat_id, d.payload, d.created_at, d.lane,
         d.state = 'dead' AS is_dead, d.attempts, d.next_at, d.failure, d.parked_at"
    };
}

#[async_trait]
impl Webhooks for Db {
    async fn parked_lanes(&self, endpoint: &str) -> Result<Vec<ParkedLane>, StoreError> {
        let query = sqlx::query_as(
            "SELECT lane, count(*), min(parked_at) FROM webhook_deliveries
             WHERE endpoint = $1 AND state = 'due' GROUP BY lane",
        )
        .bind(endpoint.to_owned());
        let rows: Vec<(String, i64, Timestamp)> = self.read(|c| query.fetch_all(c).boxed()).await?;
        let lane = |(lane, waiting, since): (_, i64, _)| ParkedLane {
            lane,
            waiting: waiting.unsigned_abs(),
            since,
        };
        Ok(rows.into_iter().map(lane).collect())
    }

    async fn park(&self, endpoint: &str, deliveries: &[Delivery]) -> Result<(), StoreError> {
        let (endpoint, deliveries) = (endpoint.to_owned(), deliveries.to_vec());
        self.transaction(move |c| {
            async move {
                for delivery in deliveries {
                    insert(c, &endpoint, &delivery).await?;
                }
                Ok(())
            }
            .boxed()
        })
        .await
    }

    async fn due_deliveries(
        &self,
        endpoint: &str,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let query = sqlx::query_as(concat!(
            "SELECT ",
            columns!(),
            " FROM webhook_deliveries d
             WHERE d.endpoint = $1 AND d.state = 'due' AND d.next_at <= $2 AND d.id IN (
                 SELECT min(e.id) FROM webhook_deliveries e
                 WHERE e.endpoint = $1 AND e.state = 'due' GROUP BY e.lane)
             ORDER BY d.next_at, d.id LIMIT $3"
        ))
        .bind(endpoint.to_owned())
        .bind(now)
        .bind(i64::from(limit));
        self.read(|c| query.fetch_all(c).boxed()).await
    }

    async fn delivered(&self, endpoint: &str, id: OutboxId) -> Result<(), StoreError> {
        let query = sqlx::query("DELETE FROM webhook_deliveries WHERE endpoint = $1 AND id = $2")
            .bind(endpoint.to_owned())
            .bind(id);
        self.write(|c| query.execute(c).boxed()).await?;
        Ok(())
    }

    async fn not_delivered(&self, endpoint: &str, delivery: &Delivery) -> Result<(), StoreError> {
        let Delivery { entry, is_dead, attempts, next_at, failure, .. } = delivery.clone();
        let query = sqlx::query(
            "UPDATE webhook_deliveries SET state = $3, attempts = $4, next_at = $5, failure = $6
             WHERE endpoint = $1 AND id = $2",
        )
        .bind(endpoint.to_owned())
        .bind(entry.id)
        .bind(state(is_dead))
        .bind(attempts)
        .bind(next_at)
        .bind(failure);
        self.write(|c| query.execute(c).boxed()).await?;
        Ok(())
    }

    async fn hasten_deliveries(
        &self,
        endpoint: &str,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let query = sqlx::query(
            "UPDATE webhook_deliveries SET next_at = $3
             WHERE endpoint = $1 AND state = 'due' AND parked_at >= $2 AND next_at > $3",
        )
        .bind(endpoint.to_owned())
        .bind(since)
        .bind(now);
        self.write(|c| query.execute(c).boxed()).await?;
        Ok(())
    }

    async fn parked(&self, endpoint: &str) -> Result<Parked, StoreError> {
        let query = sqlx::query_as(
            "SELECT count(CASE WHEN state = 'due' THEN 1 END),
                 count(CASE WHEN state = 'dead' THEN 1 END)
             FROM webhook_deliveries WHERE endpoint = $1",
        )
        .bind(endpoint.to_owned());
        let (due, dead): (i64, i64) = self.read(|c| query.fetch_one(c).boxed()).await?;
        Ok(Parked { due: due.unsigned_abs(), dead: dead.unsigned_abs() })
    }

    async fn deliveries(
        &self,
        endpoint: &str,
        after: Option<OutboxId>,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let query = sqlx::query_as(concat!(
            "SELECT ",
            columns!(),
            " FROM webhook_deliveries d WHERE d.endpoint = $1 AND d.id > $2 ORDER BY d.id LIMIT $3"
        ))
        .bind(endpoint.to_owned())
        .bind(after.map_or(0, OutboxId::get))
        .bind(i64::from(limit));
        self.read(|c| query.fetch_all(c).boxed()).await
    }

    async fn repeat_deliveries(
        &self,
        endpoint: &str,
        wanted: &[OutboxId],
        kept: &[(String, OutboxEntry)],
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let (endpoint, wanted, kept) = (endpoint.to_owned(), wanted.to_vec(), kept.to_vec());
        self.transaction(move |c| {
            async move {
                let parked = sqlx::query(concat!(
                    "UPDATE webhook_deliveries
                     SET state = 'due', attempts = 0, next_at = $3, parked_at = $3
                     WHERE endpoint = $1 AND id ",
                    sql!(in "$2")
                ))
                .bind(&endpoint)
                .bind(ids(&wanted))
                .bind(now)
                .execute(&mut *c)
                .await?;
                let mut count = parked.rows_affected();
                for (lane, entry) in kept {
                    let delivery = Delivery {
                        entry,
                        lane,
                        is_dead: false,
                        attempts: 0,
                        next_at: now,
                        failure: None,
                        parked_at: now,
                    };
                    count += insert(c, &endpoint, &delivery).await?;
                }
                Ok(count)
            }
            .boxed()
        })
        .await
    }

    async fn revive_deliveries(
        &self,
        endpoint: &str,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let query = sqlx::query(
            "UPDATE webhook_deliveries SET state = 'due', attempts = 0, next_at = $3, parked_at = $3
             WHERE endpoint = $1 AND state = 'dead' AND created_at >= $2",
        )
        .bind(endpoint.to_owned())
        .bind(since)
        .bind(now);
        Ok(self.write(|c| query.execute(c).boxed()).await?.rows_affected())
    }

    async fn switch_endpoint_off(
        &self,
        endpoint: &str,
        url_digest: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let query = sqlx::query(
            "INSERT INTO webhook_switched_off (endpoint, url_digest, since) VALUES ($1, $2, $3)
             ON CONFLICT (endpoint) DO UPDATE
             SET url_digest = excluded.url_digest, since = excluded.since
             WHERE webhook_switched_off.url_digest <> excluded.url_digest",
        )
        .bind(endpoint.to_owned())
        .bind(url_digest.to_owned())
        .bind(now);
        self.write(|c| query.execute(c).boxed()).await?;
        Ok(())
    }

    async fn switch_endpoint_on(&self, endpoint: &str) -> Result<(), StoreError> {
        let query = sqlx::query("DELETE FROM webhook_switched_off WHERE endpoint = $1")
            .bind(endpoint.to_owned());
        self.write(|c| query.execute(c).boxed()).await?;
        Ok(())
    }

    async fn endpoint_off_since(
        &self,
        endpoint: &str,
        url_digest: &str,
    ) -> Result<Option<Timestamp>, StoreError> {
        let query = sqlx::query_scalar(
            "SELECT since FROM webhook_switched_off WHERE endpoint = $1 AND url_digest = $2",
        )
        .bind(endpoint.to_owned())
        .bind(url_digest.to_owned());
        self.read(|c| query.fetch_optional(c).boxed()).await
    }

    async fn drop_deliveries(&self, before: Timestamp) -> Result<u64, StoreError> {
        let query = sqlx::query("DELETE FROM webhook_deliveries WHERE parked_at < $1").bind(before);
        Ok(self.write(|c| query.execute(c).boxed()).await?.rows_affected())
    }
}

fn state(is_dead: bool) -> &'static str {
    if is_dead { "dead" } else { "due" }
}

/// Parks a delivery that is not parked yet. Returns how many that were.
async fn insert(connection: &mut Conn, endpoint: &str, delivery: &Delivery) -> sqlx::Result<u64> {
    let Delivery { entry, lane, is_dead, attempts, next_at, failure, parked_at } = delivery;
    let inserted = sqlx::query(
        "INSERT INTO webhook_deliveries (endpoint, id, kind, conversation_id, chat_id, payload,
             created_at, lane, state, attempts, next_at, failure, parked_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
         ON CONFLICT (endpoint, id) DO NOTHING",
    )
    .bind(endpoint)
    .bind(entry.id)
    .bind(&entry.kind)
    .bind(entry.conversation)
    .bind(entry.chat)
    .bind(entry.payload.as_deref())
    .bind(entry.created_at)
    .bind(lane)
    .bind(state(*is_dead))
    .bind(attempts)
    .bind(next_at)
    .bind(failure)
    .bind(parked_at)
    .execute(connection)
    .await?;
    Ok(inserted.rows_affected())
}
