//! Drops what has been in the outbox for days, parked deliveries of long ago, and old entries of the audit log.

use std::{sync::Arc, time::Duration};

use super::webhooks::PARKED_KEPT;
use crate::{
    clock::Clock,
    jobs::Job,
    store::{Store, StoreError},
};

/// How long an entry is kept, read or not.
pub const KEPT: Duration = Duration::from_hours(7 * 24);

/// The most entries that are dropped at once.
const PAGE: u32 = 1_000;

/// The time between two pages, which others have the database for.
const PAUSE: Duration = Duration::from_millis(20);

/// The time between two rounds.
const INTERVAL: Duration = Duration::from_mins(10);

/// Drops old entries again and again, for ever, on one replica at a time; of the audit log those that are older
/// than `keep_audit`.
pub async fn drop_old(store: Arc<dyn Store>, clock: Clock, keep_audit: Duration, mut job: Job) {
    loop {
        if let Err(error) = round(&*store, &clock, keep_audit, &mut job).await {
            tracing::warn!(%error, "old entries of the outbox and the audit log not dropped, later again");
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Drops all that is old, unless another replica does so or has just done so.
async fn round(
    store: &dyn Store,
    clock: &Clock,
    keep_audit: Duration,
    job: &mut Job,
) -> Result<(), StoreError> {
    if job.take().await?.is_none() {
        return Ok(());
    }
    while job.keep("").await? {
        let dropped = store.drop_outbox(clock.now().before(KEPT), PAGE).await?;
        metrics::counter!("imserver_outbox_dropped_total").increment(dropped);
        let acts = store.drop_audit(clock.now().before(keep_audit), PAGE).await?;
        if dropped.max(acts) < u64::from(PAGE) {
            store.drop_deliveries(clock.now().before(PARKED_KEPT)).await?;
            // A little less than the time between two rounds: this replica may have the next one.
            return job.rest("", INTERVAL * 9 / 10).await;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{ClientMsgId, Content, Destination, UserId, UserName},
        jobs::LEASE,
        store::{NewChat, sqlite::SqliteStore},
    };

    #[tokio::test]
    async fn what_is_old_goes_once_in_a_round_of_one_replica() {
        let folder = tempfile::tempdir().unwrap();
        let (clock, day) = (Clock::manual(Clock::system().now()), Duration::from_hours(24));
        let path = folder.path().join("imserver.db");
        let store = SqliteStore::open(&path, clock.clone()).await.unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
        let zhang = UserId::new(1).unwrap();
        store.ensure_users(&[(zhang, UserName::parse("张三").unwrap())]).await.unwrap();
        let say = async |count: u32| {
            let chat = |_| {
                let content = Content::parse("x", 1).unwrap();
                NewChat::text(zhang, Destination::Direct(zhang), ClientMsgId::random(), content)
            };
            store.append(&(0..count).map(chat).collect::<Vec<_>>()).await.unwrap();
        };
        let left = async || store.read_outbox(None, 10_000).await.unwrap().entries.len();
        let job = || Job::new(Arc::clone(&store), "drop", LEASE);
        let (mut one, mut other) = (job(), job());
        let keep_audit = KEPT * 3;
        let round = async |job: &mut Job| round(&*store, &clock, keep_audit, job).await.unwrap();
        let acts = async || store.audit_log(None, 10_000).await.unwrap().entries.len();
        for _ in 0..=PAGE {
            store.begin_act(None, "user.export", None, None).await.unwrap();
        }

        // Else that it begins would be told.
        say(1).await;
        store.switch_outbox(true).await.unwrap();
        // More than a page.
        say(2 * PAGE + 7).await;
        clock.advance(KEPT.saturating_sub(day));
        say(3).await;
        clock.advance(day);
        round(&mut one).await;
        assert_eq!(left().await, 2_010, "a moment too early");
        clock.advance(Duration::from_mins(1));
        // The other's turn comes later.
        round(&mut other).await;
        assert_eq!(left().await, 2_010);
        clock.advance(INTERVAL);
        round(&mut other).await;
        assert_eq!(left().await, 3);
        clock.advance(KEPT);
        round(&mut one).await;
        assert_eq!(left().await, 0);
        assert_eq!(acts().await, 1_001);
        store.begin_act(None, "user.export", None, None).await.unwrap();
        clock.advance(KEPT);
        round(&mut one).await;
        assert_eq!(acts().await, 1);
    }
}
