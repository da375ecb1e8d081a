//! Deletes uploads that no chat shows, a day after the last one did: in small steps, on one replica at a
//! time.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::storage::{Storage, StorageError};
use crate::{
    clock::Clock,
    jobs::Job,
    store::{Store, StoreError},
};

/// How long an upload is kept that no chat shows.
const KEEP: Duration = Duration::from_hours(24);

/// How many uploads are taken at once. So many that cannot be deleted end a round.
const PAGE: u32 = 100;

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
    let mut collected = 0;
    // What cannot be deleted comes with each page of this round, and is stepped over.
    let (mut stuck, mut failure) = (BTreeSet::new(), None);
    loop {
        let mut page = store.collect_media(clock.now().before(KEEP), PAGE).await?;
        let is_last = page.len() < PAGE as usize;
        page.retain(|id| !stuck.contains(id));
        let mut deleted = Vec::with_capacity(page.len());
        for id in &page {
            if !job.keep("").await? {
                return Ok(());
            }
            match storage.delete(*id).await {
                Ok(()) => deleted.push(*id),
                Err(error) => {
                    stuck.insert(*id);
                    failure = Some(error);
                }
            }
        }
        store.forget_media(&deleted).await?;
        metrics::counter!("imserver_media_collected_total").increment(deleted.len() as u64);
        collected += deleted.len();
        if is_last || page.is_empty() {
            break;
        }
    }
    if collected > 0 {
        tracing::info!(collected, "unused media are deleted");
    }
    if let Some(error) = failure {
        return Err(error.into());
    }
    job.rest("", REST).await?;
    Ok(())
}
