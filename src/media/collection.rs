//! Deletes uploads that no chat shows, a day after the last one did: in small steps, on one replica at a
//! time.

use std::{sync::Arc, time::Duration};

use super::storage::{Storage, StorageError};
use crate::{
    clock::Clock,
    jobs::Job,
    store::{Store, StoreError},
};

/// How long an upload is kept that no chat shows.
const KEEP: Duration = Duration::from_hours(24);

/// How many uploads are taken at once.
const PAGE: u32 = 20;

/// The time from the end of a round to the beginning of the next.
const REST: Duration = Duration::from_mins(30);

/// Polling interval for the job.
const INTERVAL: Duration = Duration::from_mins(5);

/// Why a round ended early.
#[derive(Debug, thiserror::Error)]
enum Interruption {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Collects again and again, for ever.
pub async fn keep_collecting(store: Arc<dyn Store>, storage: Storage, clock: Clock, mut job: Job) {
    loop {
        if let Err(error) = round(&*store, &storage, &clock, &mut job).await {
            tracing::warn!(%error, "unused media not collected, later on");
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Collects all that is old enough; unless another replica does so, or a round was ended lately. What a
/// replica has taken and not forgotten when it ends is taken again.
async fn round(
    store: &dyn Store,
    storage: &Storage,
    clock: &Clock,
    job: &mut Job,
) -> Result<(), Interruption> {
    if job.take().await?.is_none() {
        return Ok(());
    }
    let mut collected = 0_u64;
    loop {
        let page = store.collect_media(clock.now().before(KEEP), PAGE).await?;
        for id in &page {
            if !job.keep("").await? {
                return Ok(());
            }
            storage.delete(*id).await?;
        }
        store.forget_media(&page).await?;
        let count = page.len() as u64;
        metrics::counter!("imserver_media_collected_total").increment(count);
        collected += count;
        if count < u64::from(PAGE) {
            break;
        }
    }
    job.rest("", REST).await?;
    if collected > 0 {
        tracing::info!(collected, "unused media are deleted");
    }
    Ok(())
}
