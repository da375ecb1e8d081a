//! The pull feed: pages of the outbox, for readers that keep their own place.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    KEPT,
    events::{Event, Events},
};
use crate::{
    clock::{Clock, Timestamp},
    store::{InvalidCursor, OutboxCursor, OutboxPage, Store, StoreError},
};

/// The longest that a request may wait for something to happen.
pub const MAX_WAIT: Duration = Duration::from_secs(30);

/// The most requests that wait at once.
const MAX_WAITING: usize = 64;

/// Polling interval of a request that waits.
const INTERVAL: Duration = Duration::from_millis(500);

/// An entry that may be dropped within this time is not begun with: its reader would be too late for the next page.
const BEGIN_MARGIN: Duration = Duration::from_mins(20);

/// How many entries of a page are looked up at once.
const LOOKUPS: usize = 8;

/// The place of a reader of the feed: where it is in the outbox, and up to when it has read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FeedCursor {
    read_until: Timestamp,
    place: OutboxCursor,
}

impl fmt::Display for FeedCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.read_until.as_millis(), self.place)
    }
}

impl FromStr for FeedCursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let (time, place) = text.split_once('.').ok_or(InvalidCursor)?;
        let read_until = Timestamp::from_millis(time.parse().map_err(|_| InvalidCursor)?);
        Ok(Self { read_until, place: place.parse()? })
    }
}

/// Events that follow each other.
#[derive(Clone, Debug)]
pub struct FeedPage {
    /// The events.
    pub events: Vec<Event>,
    /// The place after them.
    pub cursor: String,
    /// Whether there may be more already.
    pub has_more: bool,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The cursor is none.
    #[error("the cursor {0}")]
    Cursor(#[from] InvalidCursor),
    /// What comes after the cursor may have been dropped.
    #[error("what comes after the cursor is not kept any more")]
    Gone,
    /// As many requests wait as may.
    #[error("too many requests wait")]
    Busy,
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Serves pages.
pub struct Feed {
    store: Arc<dyn Store>,
    events: Events,
    clock: Clock,
    waiting: Semaphore,
}

impl Feed {
    /// Serves what the store tells.
    pub fn new(store: Arc<dyn Store>, events: Events, clock: Clock) -> Self {
        Self { store, events, clock, waiting: Semaphore::new(MAX_WAITING) }
    }

    /// At most `limit` events after a place, or from the oldest on that will be kept for [`BEGIN_MARGIN`] yet. Waits for
    /// `wait` at most, and until `stopping`, if there are none yet.
    pub async fn page(
        &self,
        after: Option<&str>,
        limit: u32,
        wait: Duration,
        stopping: &CancellationToken,
    ) -> Result<FeedPage, FeedError> {
        let after: Option<FeedCursor> = after.map(str::parse).transpose()?;
        if after.as_ref().is_some_and(|after| after.read_until < self.clock.now().before(KEPT)) {
            return Err(FeedError::Gone);
        }
        let end = Instant::now() + wait.min(MAX_WAIT);
        let begin = self.clock.now().before(KEPT.saturating_sub(BEGIN_MARGIN));
        let mut place = match after {
            Some(after) => Some(after.place),
            None => self.store.outbox_since(begin).await?,
        };
        let mut permit = None;
        loop {
            let now = self.clock.now();
            let page = self.store.read_outbox(place.as_ref(), limit).await;
            let page = page.map_err(|error| match error {
                // A place in another kind of database.
                StoreError::Rejected(_) => FeedError::Cursor(InvalidCursor),
                error => FeedError::Store(error),
            })?;
            if !page.entries.is_empty() || Instant::now() >= end || stopping.is_cancelled() {
                return Ok(self.told(page, now).await?);
            }
            if permit.is_none() {
                permit = Some(self.waiting.try_acquire().map_err(|_| FeedError::Busy)?);
            }
            place = Some(page.cursor);
            let next = end.min(Instant::now() + INTERVAL);
            let _ = stopping.run_until_cancelled(sleep_until(next)).await;
        }
    }

    async fn told(&self, page: OutboxPage, now: Timestamp) -> Result<FeedPage, StoreError> {
        let OutboxPage { entries, cursor, has_more } = page;
        // Whoever has read all that there is has read up to now; whoever has not, up to the last entry.
        let last = entries.last().filter(|_| has_more).map(|entry| entry.created_at);
        let cursor =
            FeedCursor { read_until: last.map_or(now, |last| last.min(now)), place: cursor };
        let events =
            stream::iter(entries).map(|entry| async move { self.events.event(&entry).await });
        let events = events.buffered(LOOKUPS).try_collect().await?;
        Ok(FeedPage { events, cursor: cursor.to_string(), has_more })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{ClientMsgId, Content, Destination, UserId, UserName},
        media::MediaLinks,
        store::{NewChat, sqlite::SqliteStore},
    };

    #[tokio::test]
    async fn whoever_begins_is_in_time_for_the_next_page() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(Clock::system().now());
        let path = folder.path().join("imserver.db");
        let store = SqliteStore::open(&path, clock.clone()).await.unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
        let zhang = UserId::new(1).unwrap();
        store.ensure_users(&[(zhang, UserName::parse("张三").unwrap())]).await.unwrap();
        store.switch_outbox(true).await.unwrap();
        let say = async |content: &str| {
            let content = Content::parse(content, 9).unwrap();
            let to = Destination::Direct(zhang);
            store
                .append(&[NewChat::text(zhang, to, ClientMsgId::random(), content)])
                .await
                .unwrap();
        };
        for old in ["one", "two", "three"] {
            say(old).await;
        }
        clock.advance(KEPT.saturating_sub(Duration::from_mins(1)));
        say("four").await;
        say("five").await;
        let links = MediaLinks::new(String::new(), clock.clone());
        let feed = Feed::new(Arc::clone(&store), Events::new(store, links), clock.clone());
        let stopping = CancellationToken::new();
        let mut cursor = None;
        for wanted in ["four", "five"] {
            let page = feed.page(cursor.as_deref(), 1, Duration::ZERO, &stopping).await.unwrap();
            assert_eq!(page.events[0].data["chat"]["content"], wanted);
            cursor = Some(page.cursor);
            clock.advance(Duration::from_mins(2));
        }
    }

    #[test]
    fn a_cursor_comes_back_from_its_text() {
        let text = "1795772459120.1f0c7b1e-6d0e-4b42-9a2e-6a3f6d2f0a11.3.9_11_4_7";
        let cursor: FeedCursor = text.parse().unwrap();
        assert_eq!(cursor.read_until, Timestamp::from_millis(1_795_772_459_120));
        assert_eq!(cursor.to_string(), text);
        let place = "1f0c7b1e-6d0e-4b42-9a2e-6a3f6d2f0a11.17";
        for wrong in ["", "17", ".", place, &format!("x.{place}"), &format!("17.{place}x")] {
            assert_eq!(wrong.parse::<FeedCursor>(), Err(InvalidCursor), "{wrong}");
        }
    }
}
