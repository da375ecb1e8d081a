//! How long the door may take, and what a sender is told then.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use imserver::{
    admission::{ADMISSION_WAIT, Door, Rule},
    bus::local::LocalBroker,
    clock::Clock,
    delivery::Delivery,
    domain::{ClientMsgId, Content, Destination, UserId},
    media::MediaLinks,
    messaging::Messaging,
    presence::{Presence, local::LocalPresence},
    protocol::fault::{ApiError, ErrorCode},
    standing::Standings,
    store::{Acquaintance, NewChat, Store, batcher::Batcher, sqlite::SqliteStore},
};
use serde_json::json;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use tokio_util::task::TaskTracker;

use super::{Does, Planned, send};
use crate::{
    contracts::store::fake::FakeAppends,
    harness::{rules, server::assert_problem},
};

#[tokio::test]
async fn a_rule_that_never_answers_costs_its_chat_alone() {
    let (here, rule) = Planned::start();
    let (zhang, li) = (here.person("张三").await, here.person("李四").await);
    let mut socket = zhang.online().await;
    rule.plan("hangs", Some(Does::Hangs));
    for key in ["one", "hangs", "two", "three"] {
        socket.send(&send(key, &li, key)).await;
    }
    assert_eq!(socket.expect("sent").await["clientMsgId"], "one");
    let error = socket.expect("error").await;
    assert_eq!((&error["code"], &error["clientMsgId"]), (&json!("unavailable"), &json!("hangs")));
    assert!(error["retryAfterMs"].is_u64(), "{error}");
    for (seq, key) in [(2, "two"), (3, "three")] {
        let sent = socket.expect("sent").await;
        assert_eq!((&sent["seq"], &sent["clientMsgId"]), (&json!(seq), &json!(key)));
    }
    let chat = json!({"clientMsgId": "hangs", "targetUserId": li.id, "content": "hangs"});
    assert_problem(zhang.post("/v1/chats", &chat).await, 503, "unavailable").await;

    // The key is free, for other words too.
    socket.send(&send("hangs", &li, "goes on")).await;
    let sent = socket.expect("sent").await;
    assert_eq!((&sent["seq"], &sent["clientMsgId"]), (&json!(4), &json!("hangs")));
}

/// A rule that takes so long over each chat.
struct Takes(Duration);

#[async_trait]
impl Rule for Takes {
    fn name(&self) -> &'static str {
        "takes"
    }

    async fn check(&self, _: &mut NewChat) -> Result<(), ApiError> {
        sleep(self.0).await;
        Ok(())
    }
}

/// The use cases, which commit nothing as long as these appends have no permits. From now on the clock stands
/// still: a database cannot be opened on such a clock.
async fn messaging(appends: &Arc<FakeAppends>, rule: Takes) -> (TempDir, Messaging) {
    let home = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&home.path().join("im.db"), Clock::default()).await.unwrap();
    let store: Arc<dyn Store> = Arc::new(store);
    let (presence, _) = LocalPresence::new(Clock::default());
    let presence: Arc<dyn Presence> = Arc::new(presence);
    let (bus, _) = LocalBroker::default().connect();
    let delivery = Delivery::start(
        Arc::clone(&store) as _,
        Arc::new(bus),
        Arc::clone(&presence),
        MediaLinks::new(String::new(), Clock::system()),
        TaskTracker::new(),
    );
    let messaging = Messaging::new(
        Arc::clone(&store),
        Door::new([Arc::new(rule) as Arc<dyn Rule>]),
        Batcher::start(Arc::clone(appends) as _, Duration::ZERO, Box::new(|_| {})),
        delivery.await.unwrap(),
        presence,
        Standings::new(store, Clock::default()),
        rules(Acquaintance::Conversation),
    );
    tokio::time::pause();
    (home, messaging)
}

fn chat(key: &str) -> NewChat {
    NewChat::text(
        UserId::new(1).unwrap(),
        Destination::Direct(UserId::new(2).unwrap()),
        ClientMsgId::parse(key).unwrap(),
        Content::parse("x", 1).unwrap(),
    )
}

#[tokio::test]
async fn admission_and_commit_share_the_time_of_an_answer() {
    const PROMISED: Duration = Duration::from_secs(5);
    let just_in_time = ADMISSION_WAIT.saturating_sub(Duration::from_millis(1));
    for takes in [Duration::ZERO, Duration::from_millis(300), just_in_time, ADMISSION_WAIT * 2] {
        let appends = FakeAppends::new([], 0);
        let (_home, messaging) = messaging(&appends, Takes(takes)).await;
        let begun = Instant::now();
        let error = messaging.send(chat("k")).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Unavailable);
        assert!(begun.elapsed() < PROMISED, "{:?} after {takes:?}", begun.elapsed());
        assert_eq!(appends.batches.lock().is_empty(), takes > ADMISSION_WAIT, "{takes:?}");
        tokio::time::resume();
    }
}

#[tokio::test]
async fn a_chat_that_waited_after_its_admission_has_time_to_be_committed() {
    let (_home, messaging) = messaging(&FakeAppends::new([], 0), Takes(Duration::ZERO)).await;
    let admitted = messaging.admit(chat("k")).await.unwrap();
    // As on a socket whose client reads nothing for a while.
    sleep(Duration::from_secs(8)).await;
    let sending = messaging.commit(admitted).unwrap();
    let begun = Instant::now();
    assert!(sending.done().await.is_err());
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
}
