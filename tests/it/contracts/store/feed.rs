//! The pull feed.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use imserver::{
    clock::Clock,
    media::MediaLinks,
    outbox::{
        KEPT,
        events::Events,
        feed::{Feed, FeedError, FeedPage},
    },
    store::Store,
};
use tokio_util::sync::CancellationToken;

use super::{Database, populated, send, user};

fn feed(store: &Arc<dyn Store>, clock: &Clock) -> Feed {
    let links = MediaLinks::new(String::new(), clock.clone());
    Feed::new(Arc::clone(store), Events::new(Arc::clone(store), links), clock.clone())
}

async fn page(feed: &Feed, after: Option<&str>, limit: u32) -> FeedPage {
    feed.page(after, limit, Duration::ZERO, &CancellationToken::new()).await.unwrap()
}

fn words(page: &FeedPage) -> Vec<&str> {
    page.events.iter().filter_map(|event| event.data["chat"]["content"].as_str()).collect()
}

pub(super) async fn a_feed_is_read_page_by_page<D: Database>() {
    let (database, store) = populated::<D>(2).await;
    let feed = feed(&store, &Clock::system());
    let empty = page(&feed, None, 10).await;
    assert!(empty.events.is_empty() && !empty.has_more);
    store.switch_outbox(true).await.unwrap();
    let first = send(&*store, 1, 2, "one").await.chat;
    send(&*store, 2, 1, "two").await;
    store.recall(user(1), first.id, Duration::from_mins(2)).await.unwrap();
    send(&*store, 1, 2, "three").await;
    database
        .tamper("INSERT INTO identities (provider, subject, user_id) VALUES ('external', 'e-1', 1)")
        .await;

    let all = page(&feed, Some(&empty.cursor), 10).await;
    let kinds: Vec<_> = all.events.iter().map(|event| event.kind.as_str()).collect();
    let created = ["conversation.created", "chat.created", "chat.created"];
    assert_eq!(kinds, [&created[..], &["chat.recalled", "chat.created"]].concat());
    assert_eq!(words(&all), ["", "two", "", "three"], "a recalled chat has no words");
    let [begun, recalled, two, ..] = &all.events[..] else { panic!("{all:?}") };
    let members = serde_json::json!([
        {"userId": 1, "externalId": "e-1"}, {"userId": 2, "externalId": null},
    ]);
    assert_eq!((&begun.data["members"], &begun.data["kind"]), (&members, &"direct".into()));
    assert_eq!(recalled.data["chat"]["state"], "recalled");
    let named = ["userId", "externalId", "targetUserId", "targetExternalId"];
    let named = named.map(|key| two.data["chat"][key].clone());
    assert_eq!(named, [2.into(), serde_json::Value::Null, 1.into(), "e-1".into()]);

    // By pages it is the same.
    let (mut read, mut cursor) = (Vec::new(), None);
    loop {
        let next = page(&feed, cursor.as_deref(), 2).await;
        read.extend(next.events.iter().map(|event| event.id.clone()));
        assert!(next.has_more || next.events.len() < 2);
        cursor = Some(next.cursor);
        if !next.has_more {
            break;
        }
    }
    assert_eq!(read, all.events.iter().map(|event| event.id.clone()).collect::<Vec<_>>());
    assert!(page(&feed, cursor.as_deref(), 2).await.events.is_empty());
}

pub(super) async fn a_reader_of_the_feed_waits_for_news<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    send(&*store, 1, 2, "begins").await;
    store.switch_outbox(true).await.unwrap();
    let feed = Arc::new(feed(&store, &Clock::system()));
    let cursor = page(&feed, None, 10).await.cursor;
    let stopping = CancellationToken::new();
    let wait = |secs| {
        let (feed, cursor, stopping) = (feed.clone(), cursor.clone(), stopping.clone());
        tokio::spawn(async move {
            feed.page(Some(&cursor), 10, Duration::from_secs(secs), &stopping).await
        })
    };
    let begun = Instant::now();
    assert!(wait(1).await.unwrap().unwrap().events.is_empty());
    assert!(begun.elapsed() >= Duration::from_secs(1));

    let waiting = wait(30);
    tokio::time::sleep(Duration::from_millis(50)).await;
    send(&*store, 1, 2, "news").await;
    assert_eq!(words(&waiting.await.unwrap().unwrap()), ["news"]);
    assert!(begun.elapsed() < Duration::from_secs(15));

    // Not more than so many wait at once, and none when the replica stops.
    let cursor = page(&feed, None, 10).await.cursor;
    let wait = |secs| {
        let (feed, cursor, stopping) = (feed.clone(), cursor.clone(), stopping.clone());
        tokio::spawn(async move {
            feed.page(Some(&cursor), 10, Duration::from_secs(secs), &stopping).await
        })
    };
    let waiting: Vec<_> = (0..65).map(|_| wait(30)).collect();
    crate::harness::eventually("one is refused", async || {
        waiting.iter().filter(|wait| wait.is_finished()).count() == 1
    })
    .await;
    stopping.cancel();
    let mut refused = 0;
    for wait in waiting {
        match wait.await.unwrap() {
            Ok(page) => assert!(page.events.is_empty()),
            Err(error) => {
                assert!(matches!(error, FeedError::Busy), "{error}");
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 1);
}

pub(super) async fn an_old_cursor_is_gone_and_a_wrong_one_refused<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    store.switch_outbox(true).await.unwrap();
    send(&*store, 1, 2, "x").await;
    let clock = Clock::manual(Clock::system().now());
    let feed = feed(&store, &clock);
    let cursor = page(&feed, None, 10).await.cursor;
    clock.advance(KEPT);
    assert!(page(&feed, Some(&cursor), 10).await.events.is_empty());
    clock.advance(Duration::from_millis(1));
    let refusal = async |cursor: &str| {
        let stopping = CancellationToken::new();
        feed.page(Some(cursor), 10, Duration::ZERO, &stopping).await.unwrap_err()
    };
    assert!(matches!(refusal(&cursor).await, FeedError::Gone));
    let (_, place) = cursor.split_once('.').unwrap();
    assert!(matches!(refusal(place).await, FeedError::Cursor(_)));
    let wrong = format!("{}.x", i64::MAX);
    assert!(matches!(refusal(&wrong).await, FeedError::Cursor(_)));
    // Of the other kind of database.
    let epoch = store.epoch().await.unwrap();
    let foreign = if place.matches('.').count() == 1 { "0.1_0" } else { "0" };
    let now = clock.now().as_millis();
    let refused = refusal(&format!("{now}.{epoch}.{foreign}")).await;
    assert!(matches!(refused, FeedError::Cursor(_)), "{refused}");
}
