//! Trims timelines by age and by length, once a day, in small steps, on one replica at a time. A client
//! that was away for longer loads anew; chats stay in their conversations.

use std::{sync::Arc, time::Duration};

use crate::{
    clock::Clock,
    domain::UserId,
    jobs::Job,
    store::{Store, StoreError, Trim},
};

/// Timelines in one query.
const PAGE: u32 = 20;

/// The pause between two steps, in which others use the database.
const PAUSE: Duration = Duration::from_millis(20);

/// The time from the end of a round to the beginning of the next.
const REST: Duration = Duration::from_hours(24);

/// Polling interval for the job.
const INTERVAL: Duration = Duration::from_mins(5);

/// What is kept of a timeline.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// How long an event is kept.
    pub age: Duration,
    /// The most events that are kept.
    pub events: u64,
}

/// Trims all timelines again and again, for ever.
pub async fn keep_trimming(store: Arc<dyn Store>, clock: Clock, keep: Keep, mut job: Job) {
    loop {
        if let Err(error) = round(&*store, &clock, keep, &mut job).await {
            tracing::warn!(%error, "timelines not trimmed, later on from there");
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Trims all timelines, from where the replica before has stopped. Does nothing if another replica has the
/// job, or if the last round ended less than a day ago.
async fn round(
    store: &dyn Store,
    clock: &Clock,
    keep: Keep,
    job: &mut Job,
) -> Result<(), StoreError> {
    let Some(mut progress) = job.take().await? else { return Ok(()) };
    let (mut timelines, mut events) = (0_u64, 0_u64);
    loop {
        let after = parse(&progress)?;
        let before = clock.now().before(keep.age);
        let page = store.trims(after, before, keep.events, PAGE).await?;
        for Trim { user, up_to, events: trimmed, .. } in &page.trims {
            if !job.keep(&progress).await? {
                return Ok(());
            }
            store.trim_timeline(*user, *up_to).await?;
            metrics::counter!("imserver_timeline_events_trimmed_total")
                .increment((*trimmed).into());
            events += u64::from(*trimmed);
            tokio::time::sleep(PAUSE).await;
        }
        timelines += page.trims.iter().filter(|trim| !trim.has_more).count() as u64;
        // As long as one of the page is not done, the page comes again.
        if !page.trims.iter().any(|trim| trim.has_more) {
            let Some(last) = page.last else { break };
            progress = last.to_string();
            if !job.save(&progress).await? {
                return Ok(());
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    job.rest("", REST).await?;
    tracing::info!(timelines, events, "timelines are trimmed");
    Ok(())
}

/// The user after whom it goes on; `None` at the beginning.
fn parse(progress: &str) -> Result<Option<UserId>, StoreError> {
    if progress.is_empty() {
        return Ok(None);
    }
    let problem =
        |_| StoreError::Corrupt(format!("trimming has come to {progress}, which is no user"));
    progress.parse().map(Some).map_err(problem)
}
