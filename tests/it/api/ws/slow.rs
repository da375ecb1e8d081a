//! Readers that are slow: those of history get their time, those of live events are closed.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::{
    io::AsyncReadExt,
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use super::{Client, commit, say, without_limits};
use crate::harness::{DEADLINE, Person, Server, Socket, eventually};

/// A chat of some weight, so that the buffers of a connection are soon full.
fn heavy(to: &Person, n: usize) -> serde_json::Value {
    let content = "好".repeat(15_000);
    json!({"type": "send", "clientMsgId": n.to_string(), "targetUserId": to.id, "content": content})
}

async fn three_people(server: &Server) -> (Person, Person, Person) {
    (server.person("张三").await, server.person("李四").await, server.person("王五").await)
}

#[tokio::test]
async fn a_reader_that_stops_is_closed_and_misses_nothing_later() {
    let server = without_limits().set("chat.max_content_chars", 15_000).run();
    let (zhang, li, wang) = three_people(&server).await;
    let mut stuck = li.connect_narrowly().await;
    stuck.send(&json!({"type": "hello"})).await;
    stuck.expect("ready").await;
    // The same user on another device, and others, are not affected.
    let (mut beside, mut at_zhang) = (li.online().await, zhang.online().await);
    let mut at_wang = wang.online().await;
    let mut client = Client::default();
    for n in 1..=250 {
        at_zhang.send(&heavy(&li, n)).await;
        at_zhang.expect("sent").await;
        client.follow(&mut beside, i64::try_from(n).unwrap()).await;
    }
    say(&mut at_wang, &zhang, "hello").await;
    at_wang.expect("sent").await;
    at_zhang.expect("event").await;
    // It was given up when its queue was full, before its write had taken too long.
    assert!(server.metric("imserver_slow_readers_total").await >= 1.0);
    // What was on its way may still be read, without a hole, and then comes the end.
    let mut slow = Client::default();
    let code = slow.follow_to_the_end(&mut stuck).await;
    assert!(matches!(code, 4408 | 1006), "{code}");
    assert!(slow.cursor < 250, "it read everything: nothing was shown");
    let key = li.id.to_string();
    eventually("one of two sockets is gone", async || {
        li.get_json("/getOnlineUser").await[&key]["connections"] == 1
    })
    .await;
    let (mut back, _) = li.hello(&json!({"since": slow.cursor})).await;
    slow.follow(&mut back, 250).await;
    assert_eq!(slow.chats, client.chats);
    assert_eq!(server.get("/readyz").await.status(), 200);
}

/// Reads like a phone at the edge of its network for some time, and then as fast as it can.
async fn read_slowly(socket: &mut Socket, client: &mut Client, last: i64) {
    let begun = Instant::now();
    while client.cursor < last {
        let next = client.cursor + 1;
        client.follow(socket, next).await;
        if begun.elapsed() < Duration::from_secs(13) {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

#[tokio::test]
async fn a_slow_reader_of_history_gets_the_time_that_it_needs() {
    let server = without_limits().run();
    let (zhang, li, _) = three_people(&server).await;
    commit(&server, &zhang, &li, 300, &"好".repeat(20_000)).await;
    let mut socket = li.connect_narrowly().await;
    socket.send(&json!({"type": "hello", "since": 0})).await;
    assert_eq!(socket.expect("ready").await["lastSeq"], 300);
    let mut client = Client::default();
    read_slowly(&mut socket, &mut client, 203).await;
    // The server has read the end and is writing it: more than a connection holds. What happens now
    // is still to come after it.
    zhang.send(li.id, "meanwhile", "meanwhile").await;
    client.follow(&mut socket, 301).await;
    zhang.send(li.id, "live", "live").await;
    client.follow(&mut socket, 302).await;
    assert_eq!(client.contents()[300..], ["meanwhile", "live"]);
}

#[tokio::test]
async fn a_reader_of_history_that_stops_is_closed_though_nothing_happens() {
    let server = without_limits().run();
    let (zhang, li, _) = three_people(&server).await;
    commit(&server, &zhang, &li, 300, &"好".repeat(20_000)).await;
    let mut socket = li.connect_narrowly().await;
    socket.send(&json!({"type": "hello", "since": 0})).await;
    socket.expect("ready").await;
    eventually("its write stands still for too long", async || {
        server.metric(r#"imserver_socket_ends_total{code="4408"}"#).await > 0.5
    })
    .await;
    // Its queue was empty all the time.
    assert!(server.metric("imserver_slow_readers_total").await < 0.5);
    let mut client = Client::default();
    assert_eq!(client.follow_to_the_end(&mut socket).await, 1006);
    assert!(client.cursor < 300);
    let (mut back, _) = li.hello(&json!({"since": client.cursor})).await;
    client.follow(&mut back, 300).await;
}

/// A legacy socket after its handshake, as its bytes. The kernel holds little for it.
async fn legacy_bytes(server: &Server, person: &Person) -> TcpStream {
    let tcp = TcpSocket::new_v4().unwrap();
    tcp.set_recv_buffer_size(4_096).unwrap();
    let tcp = tcp.connect(server.addr).await.unwrap();
    let socket = Socket::over(tcp, &format!("/imserver/{}", person.id), &[]).await.ok().unwrap();
    // Nothing is sent at its opening, so nothing of it is read yet.
    socket.into_stream().into_inner()
}

/// Reads the one frame that comes, so many bytes at a time with a pause after each.
async fn read_snapshot(stream: &mut TcpStream, bytes: usize, pause: Duration) -> Vec<Value> {
    let mut head = [0; 10];
    timeout(DEADLINE, stream.read_exact(&mut head)).await.expect("nothing came").unwrap();
    assert_eq!(head[..2], [0x81, 127], "no large text frame");
    let len = u64::from_be_bytes(head[2..].try_into().unwrap());
    let mut text = vec![0; usize::try_from(len).unwrap()];
    for part in text.chunks_mut(bytes) {
        timeout(DEADLINE, stream.read_exact(part)).await.expect("it stands still").unwrap();
        tokio::time::sleep(pause).await;
    }
    serde_json::from_slice(&text).unwrap()
}

#[tokio::test]
async fn a_snapshot_may_take_as_long_as_its_reader_needs() {
    let server = without_limits().run();
    let (zhang, li, _) = three_people(&server).await;
    commit(&server, &zhang, &li, 100, &"好".repeat(1_900)).await;
    let mut stream = legacy_bytes(&server, &li).await;
    zhang.send(li.id, "k", "news").await;
    let begun = Instant::now();
    // At least 30 pauses, and more than the 10 s for which a write may stand still.
    let chats = read_snapshot(&mut stream, 16 * 1_024, Duration::from_millis(400)).await;
    assert!(begun.elapsed() > Duration::from_secs(12), "too fast to show it");
    assert_eq!(chats.len(), 100);
    assert_eq!(chats[99]["content"], "news");
    // It is open still.
    zhang.send(li.id, "k2", "more").await;
    let chats = read_snapshot(&mut stream, 16 * 1_024, Duration::ZERO).await;
    assert_eq!(chats[99]["content"], "more");
}

#[tokio::test]
async fn a_snapshot_is_shown_however_large_it_is() {
    let server = without_limits().run();
    let (zhang, li, _) = three_people(&server).await;
    // Six bytes each, where they are written as JSON.
    commit(&server, &zhang, &li, 100, &"\u{1}".repeat(1_990)).await;
    let mut socket = Socket::legacy(server.addr, li.id).await;
    zhang.send(li.id, "k", "news").await;
    let frame = socket.frame().await;
    assert!(frame.to_string().len() > 1_024 * 1_024, "too small to show it");
    assert_eq!(frame[99]["content"], "news");
}

#[tokio::test]
async fn a_slow_reader_of_snapshots_is_not_closed_for_what_comes_meanwhile() {
    let server = without_limits().run();
    let (zhang, li, _) = three_people(&server).await;
    commit(&server, &zhang, &li, 100, &"好".repeat(1_900)).await;
    let mut stream = legacy_bytes(&server, &li).await;
    let mut at_zhang = zhang.online().await;
    // The first snapshot waits for its reader. What comes meanwhile is more than a queue holds.
    for n in 0..400 {
        let content = format!("{n} {}", "x".repeat(700));
        let key = format!("k{n}");
        let send =
            json!({"type": "send", "clientMsgId": key, "targetUserId": li.id, "content": content});
        at_zhang.send(&send).await;
        at_zhang.expect("sent").await;
        if n == 0 {
            // Once its first bytes are here, the snapshot can take up no later chat.
            timeout(DEADLINE, stream.peek(&mut [0])).await.expect("nothing came").unwrap();
        }
    }
    let first = read_snapshot(&mut stream, 16 * 1_024, Duration::ZERO).await;
    assert!(first[99]["content"].as_str().unwrap().starts_with("0 "), "it was not the first");
    let second = read_snapshot(&mut stream, 16 * 1_024, Duration::ZERO).await;
    assert!(second[99]["content"].as_str().unwrap().starts_with("399 "));
    assert!(second[0]["content"].as_str().unwrap().starts_with("300 "));
    assert!(server.metric("imserver_slow_readers_total").await < 0.5);
}
