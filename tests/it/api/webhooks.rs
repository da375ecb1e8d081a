//! Webhooks of a running service.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{
    Receiver, Start, eventually,
    receiver::{Answer, SECRET},
};

/// A replica that takes over waits for the lease of the one before.
const TAKE_OVER: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_back_end_is_told_by_a_service_that_is_killed() {
    let receiver = Receiver::start(|_| Answer::Status(200)).await;
    let endpoints = json!([{"name": "crm", "url": receiver.url(), "secret": SECRET}]);
    let mut server = Start::default()
        .set("webhooks.endpoints", endpoints)
        .set("webhooks.allow_private", true)
        .run();
    let zhang = server.person("张三").await;
    let socket = zhang.online().await;
    let told = |kind: &str| receiver.received().into_iter().find(|it| it.kind() == kind);
    eventually("that somebody is online is told", async || told("user.online").is_some()).await;
    zhang.send(zhang.id, "one", "你好").await;
    drop(socket);
    eventually("all is told", async || told("user.offline").is_some()).await;
    for kind in ["user.created", "user.online", "user.offline"] {
        assert_eq!(told(kind).unwrap().body["data"]["userId"], zhang.id, "{kind}");
    }
    assert_eq!(told("user.created").unwrap().body["data"]["name"], "张三");
    let offline = told("user.offline").unwrap().body;
    assert_eq!(offline["data"]["lastSeenAt"], offline["timestamp"]);
    eventually("the chat is told", async || told("chat.created").is_some()).await;
    let (begun, chat) = (told("conversation.created").unwrap(), told("chat.created").unwrap());
    assert_eq!(begun.body["data"]["members"], json!([{"userId": zhang.id, "externalId": null}]));
    assert_eq!((chat.words(), &chat.body["data"]["chat"]["externalId"]), ("你好", &json!(null)));

    receiver.answer(|_| Answer::Status(503));
    zhang.send(zhang.id, "two", "在之前").await;
    eventually("it was tried", async || receiver.received().iter().any(|it| !it.is_taken)).await;
    server.kill();
    receiver.answer(|_| Answer::Status(200));
    server.start_again();
    zhang.send(zhang.id, "three", "after").await;
    let begun = Instant::now();
    while receiver.words() != ["你好", "在之前", "after"] {
        assert!(begun.elapsed() < TAKE_OVER, "{:?}", receiver.words());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let log = server.log();
    assert!(!log.contains(SECRET) && !log.contains("在之前"), "a secret or a body is logged");
}
