//! Readers of the outbox. Each hands the entries to a handler, in order and at least once.

pub mod events;
pub mod feed;
mod retention;
pub mod webhooks;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{
    clock::Clock,
    jobs::{self, Job},
    store::{InvalidCursor, OutboxCursor, OutboxEntry, Store, StoreError},
};

pub use retention::{KEPT, drop_old};

/// Takes the entries that a reader reads.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Takes consecutive entries, at least one. They come again, maybe with others after them, after an error,
    /// and when the replica dies before it has saved its cursor.
    async fn handle(&self, entries: &[OutboxEntry]) -> Result<(), HandlerError>;
}

/// Why entries could not be taken. It is logged.
pub type HandlerError = Box<dyn std::error::Error + Send + Sync>;

/// The times and sizes of a reader.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The lease of the replica that reads; longer than `handling` and a query together.
    pub lease: Duration,
    /// Polling interval when there is nothing to read, and the pause after a failure.
    pub interval: Duration,
    /// How long the handler may take.
    pub handling: Duration,
    /// The most entries that are handed over at once.
    pub page: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            lease: jobs::LEASE,
            interval: Duration::from_secs(1),
            handling: Duration::from_secs(10),
            page: 500,
        }
    }
}

/// Why a reader did not go on.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("the place that was noted {0}")]
    Place(#[from] InvalidCursor),
    #[error("the handler failed: {0}")]
    Handler(HandlerError),
    #[error("the handler took longer than {0:?}")]
    TooLong(Duration),
}

/// What the work of the reader of this name is called.
pub fn reader_job(name: &str) -> String {
    format!("outbox.read.{name}")
}

/// Reads the outbox from a place of its own, on one replica at a time.
pub struct Reader {
    store: Arc<dyn Store>,
    handler: Arc<dyn Handler>,
    clock: Clock,
    job: Job,
    /// Its name among readers.
    name: String,
    pace: Pace,
}

impl Reader {
    /// The reader of this name. Each name has one place, whichever replica reads; a name that is new
    /// begins with the oldest entry that is kept.
    pub fn new(
        store: Arc<dyn Store>,
        handler: Arc<dyn Handler>,
        clock: Clock,
        name: &str,
        pace: Pace,
    ) -> Self {
        let job = Job::new(Arc::clone(&store), reader_job(name), pace.lease);
        Self { store, handler, clock, job, name: name.to_owned(), pace }
    }

    /// Reads for ever. May be dropped at any time.
    pub async fn run(mut self) {
        let mut is_failing = false;
        loop {
            let read = self.read_on().await;
            if let Err(error) = &read
                && !is_failing
            {
                tracing::warn!(reader = self.name, %error, "the outbox is not read, later again");
            }
            is_failing = read.is_err();
            tokio::time::sleep(self.pace.interval).await;
        }
    }

    /// Reads until another replica has the work.
    async fn read_on(&mut self) -> Result<(), Stopped> {
        let Some(progress) = self.job.take().await? else {
            self.note_lag(Duration::ZERO);
            return Ok(());
        };
        let mut cursor = match progress.as_str() {
            "" => None,
            place => Some(place.parse()?),
        };
        loop {
            let page = self.store.read_outbox(cursor.as_ref(), self.pace.page).await?;
            let is_empty = page.entries.is_empty();
            let oldest = page.entries.first().map(|entry| entry.created_at);
            self.note_lag(oldest.map_or(Duration::ZERO, |oldest| oldest.until(self.clock.now())));
            let is_kept = if is_empty {
                // The cursor moves on without entries, too. It may be saved later.
                self.job.keep(&page.cursor.to_string()).await?
            } else {
                let place = cursor.as_ref().map_or_else(String::new, OutboxCursor::to_string);
                if !self.job.keep_for(&place, self.pace.handling).await? {
                    return Ok(());
                }
                self.hand_over(&page.entries).await?;
                self.job.save(&page.cursor.to_string()).await?
            };
            if !is_kept {
                return Ok(());
            }
            cursor = Some(page.cursor);
            if is_empty {
                tokio::time::sleep(self.pace.interval).await;
            }
        }
    }

    async fn hand_over(&self, entries: &[OutboxEntry]) -> Result<(), Stopped> {
        let Pace { handling, .. } = self.pace;
        match tokio::time::timeout(handling, self.handler.handle(entries)).await {
            Ok(handled) => handled.map_err(Stopped::Handler),
            Err(_) => Err(Stopped::TooLong(handling)),
        }
    }

    fn note_lag(&self, lag: Duration) {
        metrics::gauge!("imserver_outbox_lag_seconds", "reader" => self.name.clone())
            .set(lag.as_secs_f64());
    }
}
