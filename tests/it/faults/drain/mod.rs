//! A replica that is asked to end: what its clients see until it is gone.

mod rolling;

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio_tungstenite::tungstenite::Message;

use crate::harness::{
    DEADLINE, Figures, Person, Redis, Seen, Server, Socket, Start, eventually, replica_on,
    server::json_of,
};

/// Waits until a server says that it drains.
async fn until_draining(server: &Server) {
    eventually("it is draining", async || {
        let answer = server.get("/readyz").await;
        answer.status() == 503 && json_of(answer).await["reasons"] == json!(["draining"])
    })
    .await;
}

fn chat_to(target: &Person, key: &str) -> serde_json::Value {
    json!({"type": "send", "clientMsgId": key, "targetUserId": target.id, "content": key})
}

/// Sends chats to oneself, one after another, until the socket leaves. Returns when that was, and how
/// many were answered.
async fn send_to_the_end(person: &Person, socket: &mut Socket) -> (Instant, usize) {
    let mut answered = 0;
    loop {
        socket.send(&chat_to(person, &answered.to_string())).await;
        let frame = socket.frame().await;
        if frame["type"] == "reconnect" {
            let left = Instant::now();
            assert_eq!(socket.next().await, Seen::Closed(1012));
            return (left, answered);
        }
        assert_eq!(frame["type"], "sent", "{frame}");
        answered += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn each_socket_leaves_at_its_own_moment_and_all_is_served_until_then() {
    let start = Start::default().set("limits.enabled", false).set("log.filter", "info");
    let mut server = start.set("server.drain_secs", 5).set("server.drain_pause_secs", 2).run();
    let mut sockets = Vec::new();
    for n in 0..30 {
        let person = server.person(&format!("person {n}")).await;
        let socket = person.online().await;
        sockets.push((person, socket));
    }
    let zhang = server.person("张三").await;
    let begun = Instant::now();
    server.signal("TERM");
    until_draining(&server).await;
    let refused = Socket::open(server.addr, "/imserver/7", &[]).await.err().unwrap();
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    let http = async {
        let mut served = 0;
        while begun.elapsed() < Duration::from_secs(4) {
            zhang.send(zhang.id, &format!("{served}"), "over HTTP").await;
            served += 1;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        served
    };
    let leaving =
        join_all(sockets.iter_mut().map(|(person, socket)| send_to_the_end(person, socket)));
    let (left, served) = tokio::join!(leaving, http);
    assert_eq!(server.ended().await.code(), Some(0));
    let took = begun.elapsed();
    let mut moments: Vec<_> = left.iter().map(|(left, _)| *left - begun).collect();
    moments.sort_unstable();
    let (first, last) = (moments[0], moments[moments.len() - 1]);
    let figures = Figures::of("drain_of_30_sockets");
    figures.time("first left after", first).time("last left after", last);
    figures.count("sends answered meanwhile", left.iter().map(|(_, count)| count).sum::<usize>());
    figures.count("answered over HTTP meanwhile", served).time("ended after", took);
    assert!(first > Duration::from_millis(1_900), "somebody left in the pause");
    assert!(last > first + Duration::from_millis(1_500), "all at once: {moments:?}");
    assert!(
        left.iter().all(|(_, answered)| *answered > 0),
        "a socket was not served until it left"
    );
    // A busy machine is slow; what would be wrong is to wait for the whole of every limit.
    assert!(took < DEADLINE, "{took:?}");
    assert!(!server.log().contains("did not end in time"));
    // What was answered is there.
    server.start_again();
    for ((person, _), (_, answered)) in sockets.iter().zip(&left) {
        let last = person.get_json("/v1/events?since=0&limit=1").await["lastSeq"].clone();
        assert!(
            last.as_u64().unwrap() >= *answered as u64,
            "{answered} answered, {last} committed"
        );
    }
}

#[tokio::test]
async fn a_send_that_is_under_way_is_answered_before_its_socket_leaves() {
    let mut server = Start::default().set("server.drain_secs", 0).run();
    let zhang = server.person("张三").await;
    let mut socket = zhang.online().await;
    // Nothing can be committed until this ends.
    let options = SqliteConnectOptions::new().filename(server.database());
    let mut other = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    for key in ["one", "two"] {
        socket.send(&chat_to(&zhang, key)).await;
    }
    socket.expect_quiet().await;
    server.signal("TERM");
    until_draining(&server).await;
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    for key in ["one", "two"] {
        assert_eq!(socket.expect("sent").await["clientMsgId"], key);
    }
    socket.expect("reconnect").await;
    assert_eq!(socket.next().await, Seen::Closed(1012));
    assert_eq!(server.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_send_is_carried_out_though_its_socket_has_gone() {
    let redis = Redis::start();
    let start = replica_on(&redis).await;
    let mut server = start().set("limits.enabled", true).set("server.drain_secs", 0).run();
    let zhang = server.person("张三").await;
    let mut socket = zhang.online().await;
    // Whether it may is asked of Redis, which is silent: that is decided some time after the socket
    // has closed.
    redis.freeze();
    for key in ["one", "two"] {
        socket.send(&chat_to(&zhang, key)).await;
    }
    socket.send_raw(Message::Close(None)).await;
    server.signal("TERM");
    assert_eq!(server.ended().await.code(), Some(0));
    redis.thaw();
    server.start_again();
    let events = zhang.get_json("/v1/events?since=0").await;
    let keys = events["events"].as_array().unwrap().iter();
    let keys: Vec<_> = keys.map(|event| event["chat"]["clientMsgId"].as_str().unwrap()).collect();
    assert_eq!(keys, ["one", "two"]);
}

#[tokio::test]
async fn nobody_is_waited_for_who_is_not_there() {
    let mut server = Start::default().set("server.drain_secs", 3_600).run();
    let zhang = server.person("张三").await;
    let begun = Instant::now();
    assert_eq!(server.terminate().await.code(), Some(0));
    Figures::of("drain_without_sockets").time("ended after", begun.elapsed());
    // The same when the last one goes by itself.
    server.start_again();
    let socket = zhang.online().await;
    server.signal("TERM");
    until_draining(&server).await;
    drop(socket);
    assert_eq!(server.ended().await.code(), Some(0));
}

#[tokio::test]
async fn who_asks_twice_does_not_wait() {
    for second in ["TERM", "INT"] {
        let mut server = Start::default().set("server.drain_secs", 3_600).run();
        let zhang = server.person("张三").await;
        let mut socket = zhang.online().await;
        server.signal("TERM");
        until_draining(&server).await;
        server.signal(second);
        let status = server.ended().await;
        assert_eq!(status.code(), Some(1));
        // It may have left just then, with one in so many chances.
        assert!(matches!(socket.closed().await, 1006 | 1012));
    }
}
