//! The server dies, or is asked to end, in the middle of its work.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use serde_json::{Value, json};

use super::{Client, say, without_limits};
use crate::harness::{Person, Seen, Socket, Start, eventually, server::json_of};

/// What a sender knows: each key that it has sent, and the chat that answered it.
type Sent = BTreeMap<String, Option<Value>>;

/// Sends over a socket, some under way at a time, until the server is gone.
async fn send_by_socket(mut socket: Socket, to: &Person, round: &str, acks: &AtomicUsize) -> Sent {
    let mut sent = Sent::new();
    for n in 0.. {
        let key = format!("socket {round} {n}");
        say(&mut socket, to, &key).await;
        sent.insert(key, None);
        if n < 10 {
            continue;
        }
        match socket.next().await {
            Seen::Frame(frame) => note(&mut sent, &frame, acks),
            Seen::Closed(_) => break,
        }
    }
    sent
}

fn note(sent: &mut Sent, frame: &Value, acks: &AtomicUsize) {
    // The chats of the senders beside this one are events here.
    if frame["type"] == "sent" {
        let key = frame["clientMsgId"].as_str().unwrap().to_owned();
        sent.insert(key, Some(frame["chat"].clone()));
        acks.fetch_add(1, Ordering::Relaxed);
    }
}

/// Sends over HTTP, one after another, until the server is gone.
async fn send_by_http(from: &Person, to: &Person, round: &str, acks: &AtomicUsize) -> Sent {
    let mut sent = Sent::new();
    for n in 0.. {
        let key = format!("http {round} {n}");
        let body = json!({"clientMsgId": key, "targetUserId": to.id, "content": key});
        sent.insert(key.clone(), None);
        let request = from.request(reqwest::Method::POST, "/v1/chats").body(body.to_string());
        let Ok(response) = request.send().await else { break };
        assert_eq!(response.status(), 201);
        // The head may have come, and the rest died.
        let Ok(text) = response.text().await else { break };
        let answer: Value = serde_json::from_str(&text).unwrap();
        sent.insert(key, Some(answer["chat"].clone()));
        acks.fetch_add(1, Ordering::Relaxed);
    }
    sent
}

/// Sends again what was not answered, by the other way; returns all chats by key.
async fn send_again(from: &Person, to: &Person, sent: Sent) -> BTreeMap<String, Value> {
    let (mut socket, _) = from.hello(&json!({})).await;
    let mut all = BTreeMap::new();
    for (key, chat_of) in sent {
        let chat_of = match chat_of {
            Some(known) => known,
            None if key.starts_with("http") => {
                say(&mut socket, to, &key).await;
                loop {
                    let sent = socket.until("sent").await;
                    if sent["clientMsgId"] == key {
                        break sent["chat"].clone();
                    }
                }
            }
            None => from.send(to.id, &key, &key).await["chat"].clone(),
        };
        all.insert(key, chat_of);
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_kill_and_nothing_doubles() {
    let mut server = without_limits().run();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    let wang = server.person("王五").await;
    let mut at_li = Client::default();
    let mut epoch = Value::Null;
    let mut expected = BTreeMap::new();
    for (round, kill_after) in [1, 40, 150, 7, 333].into_iter().enumerate() {
        let hello = json!({"since": at_li.cursor, "epoch": epoch});
        let (mut receiving, ready) = li.hello(&hello).await;
        epoch = ready["epoch"].clone();
        let round = round.to_string();
        let acks = AtomicUsize::new(0);
        let (socket, second) = (zhang.online().await, wang.online().await);
        let mut killing = async || {
            eventually("acknowledgements", async || acks.load(Ordering::Relaxed) >= kill_after)
                .await;
            server.kill();
        };
        let wang_round = format!("{round} of wang");
        let (by_zhang, by_http, by_wang, end, ()) = tokio::join!(
            send_by_socket(socket, &li, &round, &acks),
            send_by_http(&zhang, &li, &round, &acks),
            send_by_socket(second, &li, &wang_round, &acks),
            at_li.follow_to_the_end(&mut receiving),
            killing(),
        );
        assert_eq!(end, 1006);
        server.start_again();
        expected.extend(send_again(&zhang, &li, by_zhang).await);
        expected.extend(send_again(&zhang, &li, by_http).await);
        expected.extend(send_again(&wang, &li, by_wang).await);
    }
    let (mut receiving, ready) = li.hello(&json!({"since": at_li.cursor, "epoch": epoch})).await;
    at_li.follow(&mut receiving, ready["lastSeq"].as_i64().unwrap()).await;
    receiving.expect_quiet().await;
    // Each chat once, as it was acknowledged, and no other.
    assert_eq!(at_li.chats.len(), expected.len());
    let seen: BTreeMap<_, _> = at_li
        .chats
        .into_iter()
        .map(|chat| (chat["clientMsgId"].as_str().unwrap().to_owned(), chat))
        .collect();
    assert_eq!(seen, expected);
    assert_rows(&zhang, &expected).await;
    assert_rows(&wang, &expected).await;
}

/// Asserts that a sender's own timeline holds each of these chats of that sender exactly once.
async fn assert_rows(sender: &Person, expected: &BTreeMap<String, Value>) {
    let mut client = Client::default();
    loop {
        let path = format!("/v1/events?limit=100&since={}", client.cursor);
        let page = sender.get_json(&path).await;
        page["events"].as_array().unwrap().iter().for_each(|event| client.apply(event));
        if page["hasMore"] == false {
            break;
        }
    }
    let own = expected.values().filter(|chat| chat["userId"] == sender.id).count();
    assert_eq!(client.chats.len(), own);
    for chat in client.chats {
        assert_eq!(expected[chat["clientMsgId"].as_str().unwrap()], chat);
    }
}

#[tokio::test]
async fn a_server_that_is_asked_to_end_sends_its_clients_away() {
    let mut server = Start::default().set("server.drain_secs", 3).run();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    let mut socket = zhang.online().await;
    let mut legacy = Socket::legacy(server.addr, 7).await;
    // One whose close is not answered, for which the server waits a little.
    let mut silent = li.online().await.into_stream();
    // One that has not said hello yet.
    let mut early = li.connect().await;
    // Through connections that stand already.
    assert_eq!(zhang.get("/readyz").await.status(), 200);
    let addr = server.addr;
    let watching = async {
        let reconnect = socket.expect("reconnect").await;
        assert!((0..=3_000).contains(&reconnect["afterMs"].as_i64().unwrap()), "{reconnect}");
        assert_eq!(socket.next().await, Seen::Closed(1012));
        let response = zhang.get("/readyz").await;
        assert_eq!(response.status(), 503);
        assert_eq!(json_of(response).await["reasons"], json!(["draining"]));
        let refused = Socket::open(addr, "/imserver/7", &[]).await.err().unwrap();
        assert_eq!(refused.status(), 503);
        assert!(refused.headers().contains_key("retry-after"));
        assert_eq!(legacy.next().await, Seen::Closed(1012));
        assert_eq!(early.expect("reconnect").await["type"], "reconnect");
        assert_eq!(early.next().await, Seen::Closed(1012));
    };
    let (status, ()) = tokio::join!(server.terminate(), watching);
    assert_eq!(status.code(), Some(0));
    assert!(!server.log().contains("sockets did not leave"), "waited for a socket that is gone");
    drop(silent.close(None).await);
    server.start_again();
    assert_eq!(zhang.get("/readyz").await.status(), 200);
    let _ = zhang.online().await;
}
