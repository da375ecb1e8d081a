//! Reads, logins and sockets, which are counted by user.

use reqwest::Method;
use serde_json::json;

use super::{assert_limited, knock, retry_after};
use crate::harness::{Start, server::assert_problem};

#[tokio::test]
async fn reads_of_history_are_limited_by_user() {
    let server = Start::default()
        .set("limits.history_per_sec", 1)
        .set("limits.history_burst", 3)
        .set("limits.enabled", true)
        .run();
    let li = server.person("李四").await;
    for (number, path) in [
        "/v1/conversations",
        "/v1/conversations/{conversation}/chats",
        "/v1/events?since=0",
        "/v1/users?query=x",
        "/v1/users/{li}",
        "/getMessage?userId={me}",
    ]
    .into_iter()
    .enumerate()
    {
        let reader = server.person(&format!("reader {number}")).await;
        let chat = reader.send(li.id, "first", "你好").await;
        let path = path
            .replace("{me}", &reader.id.to_string())
            .replace("{li}", &li.id.to_string())
            .replace("{conversation}", &chat["chat"]["conversationId"].to_string());
        assert_limited(&path, || reader.request(Method::GET, &path)).await;
    }
    li.get_json("/v1/conversations").await;
}

#[tokio::test]
async fn questions_who_is_online_are_limited_by_user() {
    let server =
        Start::default().set("limits.presence_per_sec", 1).set("limits.presence_burst", 3).run();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    let path = format!("/v1/presence?userIds={}", li.id);
    assert_limited(&path, || zhang.request(Method::GET, &path)).await;
    assert_limited("/getOnlineUser", || li.request(Method::GET, "/getOnlineUser")).await;

    let watcher = server.person("王五").await;
    let mut socket = watcher.online().await;
    for _ in 0..15 {
        socket.send(&json!({"type": "watch", "userIds": [watcher.id]})).await;
    }
    let refused = loop {
        let frame = socket.frame().await;
        if frame["type"] == "error" {
            break frame;
        }
        assert_eq!(frame["type"], "presence");
    };
    assert_eq!(refused["code"], "rate_limited");
    let wait = refused["retryAfterMs"].as_u64().unwrap();
    assert!((1..=1_000).contains(&wait), "{wait}");
}

#[tokio::test]
async fn logins_are_limited_by_user() {
    // One in twenty seconds.
    let server = Start::default().set("limits.logins_per_min", 3).run();
    let log_in = async |name: &str| server.post("/v1/login/demo", &json!({"name": name})).await;
    for _ in 0..3 {
        assert_eq!(log_in("张三").await.status(), 200);
    }
    let refused = log_in("张三").await;
    assert!(retry_after(&refused).as_secs() <= 20);
    assert_problem(refused, 429, "rate_limited").await;
    assert_eq!(log_in("李四").await.status(), 200);
}

#[tokio::test]
async fn sockets_are_limited_by_user() {
    let server = Start::default().set("limits.handshakes_per_min", 3).run();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    let mut answers = Vec::new();
    for _ in 0..5 {
        answers.push(knock(&server, zhang.id, &zhang.token, &[]).await);
    }
    assert_eq!(answers, [101, 101, 101, 429, 429]);
    assert_eq!(knock(&server, li.id, &li.token, &[]).await, 101);
}
