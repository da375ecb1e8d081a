//! Drops what has been in the outbox for days.

use std::{sync::Arc, time::Duration};

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

/// Drops old entries again and again, for ever, on one replica at a time.
pub async fn drop_old(store: Arc<dyn Store>, clock: Clock, mut job: Job) {
    loop {
        if let Err(error) = round(&*store, &clock, &mut job).await {
            tracing::warn!(%error, "old entries of the outbox not dropped, later again");
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Drops all that is old, unless another replica does so or has just done so.
async fn round(store: &dyn Store, clock: &Clock, job: &mut Job) -> Result<(), StoreError> {
    if job.take().await?.is_none() {
        return Ok(());
    }
    while job.keep("").await? {
        let dropped = store.drop_outbox(clock.now().before(KEPT), PAGE).await?;
        metrics::counter!("imserver_outbox_dropped_total").increment(dropped);
        if dropped < u64::from(PAGE) {
            // A little less than the time between two rounds: this replica may have the next one.
            return job.rest("", INTERVAL * 9 / 10).await;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
