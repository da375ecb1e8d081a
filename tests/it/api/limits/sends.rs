//! Sends.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::{assert_limited, burst, keys, metric};
use crate::harness::{Seen, Server, Socket, Start};

fn slow() -> Server {
    Start::default().set("limits.sends_per_sec", 1).set("limits.send_burst", 3).run()
}

#[tokio::test]
async fn a_socket_is_told_when_one_more_may_be_sent() {
    let server = slow();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    let mut socket = zhang.online().await;
    let all = keys("first", 40);
    let (sent, refused) = burst(&mut socket, &li, &all).await;
    assert!(sent.len() >= 3 && !refused.is_empty(), "{sent:?}");
    assert_eq!(sent[..3], all[..3], "the first ones pass");
    let waits: Vec<_> =
        refused.values().map(|frame| frame["retryAfterMs"].as_u64().unwrap()).collect();
    assert!(waits.iter().all(|wait| (1..=1_000).contains(wait)), "{waits:?}");
    tokio::time::sleep(Duration::from_millis(*waits.iter().max().unwrap())).await;
    let (sent, _) = burst(&mut socket, &li, &keys("second", 1)).await;
    assert_eq!(sent, ["second-0"]);
    assert!(metric(&server, "imserver_limit_refusals_total", "limit=\"send\"").await >= 1.0);
}

#[tokio::test]
async fn over_http_it_is_429() {
    let server = slow();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    for path in ["/v1/chats", "/push"] {
        let zhang = server.person(&format!("to {path}")).await;
        assert_limited(path, || {
            let key = uuid();
            let chat = json!({"userId": zhang.id, "clientMsgId": key, "targetUserId": li.id, "content": "你好"});
            zhang.request(Method::POST, path).body(chat.to_string())
        })
        .await;
    }
    // Nobody else pays for it.
    zhang.send(li.id, "mine", "你好").await;
}

fn uuid() -> String {
    imserver::domain::ClientMsgId::random().as_str().to_owned()
}

#[tokio::test]
async fn a_repeat_counts() {
    let server = slow();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    let first = zhang.send(li.id, "again", "你好").await;
    // Until the whole burst is there again.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_limited("repeats", || {
        let chat = json!({"clientMsgId": "again", "targetUserId": li.id, "content": "你好"});
        zhang.request(Method::POST, "/v1/chats").body(chat.to_string())
    })
    .await;
    // Until one more passes.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(zhang.send(li.id, "again", "你好").await, first);
}

#[tokio::test]
async fn a_legacy_socket_gets_a_problem() {
    let server = slow();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    let mut socket = Socket::legacy(server.addr, zhang.id).await;
    for _ in 0..20 {
        socket.send(&json!({"userId": zhang.id, "targetUserId": li.id, "content": "你好"})).await;
    }
    loop {
        match socket.next().await {
            Seen::Frame(frame) if frame.is_array() => {}
            Seen::Frame(frame) => {
                assert_eq!(
                    (&frame["code"], &frame["status"]),
                    (&json!("rate_limited"), &json!(429))
                );
                return;
            }
            Seen::Closed(code) => panic!("closed with {code}"),
        }
    }
}
