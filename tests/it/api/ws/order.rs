//! The order of a timeline on each of a user's sockets, repeats, and many at once.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Client, chat, content_of, say, without_limits};
use crate::harness::{Person, Server, Socket};

async fn two_people(server: &Server) -> (Person, Person) {
    (server.person("张三").await, server.person("李四").await)
}

#[tokio::test]
async fn every_device_of_both_sides_sees_a_chat() {
    let server = Server::start();
    let (zhang, li) = two_people(&server).await;
    let (mut sending, mut beside) = (zhang.online().await, zhang.online().await);
    let (mut phone, mut tablet) = (li.online().await, li.online().await);
    // So that the numbers of the two sides differ.
    li.send(li.id, "note", "note").await;
    for socket in [&mut phone, &mut tablet] {
        assert_eq!(content_of(&socket.expect("event").await), "note");
    }
    say(&mut sending, &li, "hello").await;
    let sent = sending.expect("sent").await;
    let event = beside.expect("event").await;
    assert_eq!((&sent["seq"], &event["seq"]), (&json!(1), &json!(1)));
    assert_eq!(sent["clientMsgId"], "hello");
    for socket in [&mut phone, &mut tablet] {
        let event = socket.expect("event").await;
        assert_eq!((&event["seq"], &event["chat"]), (&json!(2), &sent["chat"]));
    }
    assert_eq!(event["chat"], sent["chat"]);
    for socket in [&mut sending, &mut beside, &mut phone, &mut tablet] {
        socket.expect_quiet().await;
    }
}

#[tokio::test]
async fn a_repeat_of_an_old_send_moves_nothing() {
    let server = Server::start();
    let (zhang, li) = two_people(&server).await;
    let (mut sending, mut beside, mut other) =
        (zhang.online().await, zhang.online().await, li.online().await);
    let mut firsts = Vec::new();
    for key in ["one", "two"] {
        say(&mut sending, &li, key).await;
        firsts.push(sending.expect("sent").await);
    }
    for (first, key) in firsts.iter().zip(["one", "two"]) {
        say(&mut sending, &li, key).await;
        assert_eq!(sending.expect("sent").await, *first);
        let repeat = zhang.send(li.id, key, key).await;
        assert_eq!((&repeat["chat"], &repeat["seq"]), (&first["chat"], &first["seq"]));
    }
    // On a new socket, which was never shown the chat.
    let mut fresh = zhang.online().await;
    say(&mut fresh, &li, "one").await;
    assert_eq!(fresh.expect("sent").await, firsts[0]);
    let reused =
        json!({"type": "send", "clientMsgId": "one", "targetUserId": li.id, "content": "x"});
    fresh.send(&reused).await;
    let error = fresh.expect("error").await;
    assert_eq!(
        (&error["code"], &error["clientMsgId"]),
        (&json!("client_msg_id_reused"), &json!("one"))
    );
    say(&mut sending, &li, "three").await;
    assert_eq!(sending.expect("sent").await["seq"], 3);
    for socket in [&mut beside, &mut other] {
        let mut client = Client::default();
        client.follow(socket, 3).await;
        assert_eq!(client.contents(), ["one", "two", "three"]);
    }
}

#[tokio::test]
async fn a_key_twice_on_one_socket_is_one_chat_and_two_answers() {
    let server = without_limits().run();
    let (zhang, li) = two_people(&server).await;
    let (mut sending, mut other) = (zhang.online().await, li.online().await);
    let mut client = Client::default();
    for n in 1..=30 {
        let key = format!("key {n}");
        say(&mut sending, &li, &key).await;
        say(&mut sending, &li, &key).await;
        for _ in 0..2 {
            client.apply(&sending.expect("sent").await);
        }
    }
    sending.expect_quiet().await;
    assert_eq!((client.cursor, client.repeats), (30, 30));
    let mut at_li = Client::default();
    at_li.follow(&mut other, 30).await;
    other.expect_quiet().await;
}

#[tokio::test]
async fn a_key_in_flight_on_two_sockets_is_shown_once_on_each() {
    let server = without_limits().run();
    let (zhang, li) = two_people(&server).await;
    let (mut one, mut two) = (zhang.online().await, zhang.online().await);
    let (mut at_one, mut at_two) = (Client::default(), Client::default());
    for n in 1..=50 {
        let frame = chat(&li, &format!("key {n}"));
        tokio::join!(one.send(&frame), two.send(&frame));
        // The chat on both, and one answer to the repeat.
        for _ in 0..3 {
            tokio::select! {
                frame = one.frame() => at_one.apply(&frame),
                frame = two.frame() => at_two.apply(&frame),
            }
        }
        assert_eq!((at_one.cursor, at_two.cursor), (n, n));
        assert_eq!(i64::try_from(at_one.repeats + at_two.repeats).unwrap(), n);
        for client in [&at_one, &at_two] {
            assert!(client.answered.contains(&format!("key {n}")), "not answered");
        }
    }
    one.expect_quiet().await;
    two.expect_quiet().await;
}

#[tokio::test]
async fn a_chat_to_oneself_is_one_event() {
    let server = Server::start();
    let zhang = server.person("张三").await;
    let (mut sending, mut beside) = (zhang.online().await, zhang.online().await);
    for (seq, key) in [(1, "one"), (2, "two")] {
        say(&mut sending, &zhang, key).await;
        let (sent, event) = (sending.expect("sent").await, beside.expect("event").await);
        assert_eq!((&sent["seq"], &event["seq"]), (&json!(seq), &json!(seq)));
        assert_eq!(sent["chat"], event["chat"]);
    }
    sending.expect_quiet().await;
    beside.expect_quiet().await;
    let conversations = zhang.get_json("/v1/conversations").await;
    assert_eq!(conversations["conversations"][0]["unread"], 0);
    assert_eq!(conversations["conversations"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn hundreds_in_one_go_keep_their_order() {
    const COUNT: i64 = 500;
    let server = without_limits().run();
    let (zhang, li) = two_people(&server).await;
    let (mut sending, mut receiving) = (zhang.online().await, li.online().await);
    let keys: Vec<_> = (0..COUNT).map(|n| format!("key {n}")).collect();
    for key in &keys {
        say(&mut sending, &li, key).await;
    }
    let (mut at_zhang, mut at_li) = (Client::default(), Client::default());
    tokio::join!(at_zhang.follow(&mut sending, COUNT), at_li.follow(&mut receiving, COUNT));
    assert_eq!(at_zhang.answered, keys);
    assert_eq!(at_zhang.repeats, 0);
    assert_eq!(at_li.contents(), keys);
    assert!(at_li.ids().is_sorted_by(|a, b| a < b));
    sending.expect_quiet().await;
}

/// Sends so many chats, a few under way at a time.
async fn send_many(mut socket: Socket, target: &Person, name: &str, count: i64) -> Client {
    let mut client = Client::default();
    for n in 1..=count {
        say(&mut socket, target, &format!("{name} {n}")).await;
        client.follow(&mut socket, n - 8).await;
    }
    client.follow(&mut socket, count).await;
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_senders_to_one_receiver_make_one_order() {
    const EACH: i64 = 60;
    let server = without_limits().run();
    let li = server.person("李四").await;
    let mut receiving = Vec::new();
    for _ in 0..5 {
        receiving.push(li.online().await);
    }
    let mut senders = tokio::task::JoinSet::new();
    for n in 0..6 {
        let (sender, li) = (server.person(&format!("sender {n}")).await, li.clone());
        senders.spawn(async move {
            let socket = sender.online().await;
            send_many(socket, &li, &sender.name, EACH).await;
        });
    }
    let mut seen = Vec::new();
    for mut socket in receiving {
        let mut client = Client::default();
        client.follow(&mut socket, 6 * EACH).await;
        socket.expect_quiet().await;
        seen.push(client);
    }
    assert_eq!(senders.join_all().await.len(), 6);
    assert!(seen.iter().all(|client| client.chats == seen[0].chats), "sockets differ");
    let mut conversations: BTreeMap<i64, Vec<&Value>> = BTreeMap::new();
    for chat in &seen[0].chats {
        conversations.entry(chat["conversationId"].as_i64().unwrap()).or_default().push(chat);
    }
    assert_eq!(conversations.len(), 6);
    for chats in conversations.values() {
        assert!(chats.is_sorted_by_key(|chat| chat["id"].as_i64()), "ids do not rise");
        let said: Vec<_> = chats.iter().map(|chat| chat["content"].as_str().unwrap()).collect();
        let name = chats[0]["userName"].as_str().unwrap();
        let expected: Vec<_> = (1..=EACH).map(|n| format!("{name} {n}")).collect();
        assert_eq!(said, expected);
    }
}

/// All chats of the conversation with somebody, page by page.
async fn load(person: &Person, peer: &Person) -> BTreeSet<String> {
    let found = person.get_json(&format!("/v1/conversations?peerId={}", peer.id)).await;
    let Some(conversation) = found["conversations"][0]["id"].as_i64() else {
        return BTreeSet::new();
    };
    let mut loaded = BTreeSet::new();
    let mut before = String::new();
    loop {
        let path = format!("/v1/conversations/{conversation}/chats?limit=20{before}");
        let page = person.get_json(&path).await;
        let chats = page["chats"].as_array().unwrap();
        loaded.extend(chats.iter().map(|chat| chat["content"].as_str().unwrap().to_owned()));
        if page["hasMore"] == false {
            return loaded;
        }
        before = format!("&before={}", chats[0]["id"]);
    }
}

/// Sends chats until it is told to stop; returns how many.
async fn send_until(mut socket: Socket, target: Person, stop: CancellationToken) -> i64 {
    let mut client = Client::default();
    while !stop.is_cancelled() {
        say(&mut socket, &target, &format!("chat {}", client.cursor + 1)).await;
        client.apply(&socket.frame().await);
    }
    client.cursor
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_load_that_races_live_chats_misses_nothing() {
    let server = without_limits().run();
    let (zhang, li) = two_people(&server).await;
    let stop = CancellationToken::new();
    let writing = tokio::spawn(send_until(zhang.online().await, li.clone(), stop.clone()));
    let newcomers = (0..5).map(|n| {
        let (zhang, li) = (&zhang, &li);
        async move {
            // Each comes at another moment of the stream.
            while li.get_json("/v1/events").await["lastSeq"].as_i64().unwrap() < n * 40 {}
            let (mut socket, ready) = li.hello(&json!({})).await;
            let mut client = Client::at(ready["lastSeq"].as_i64().unwrap());
            let loaded = load(li, zhang).await;
            // The stream goes on: something is live.
            let next = client.cursor + 1;
            client.follow(&mut socket, next).await;
            (socket, client, loaded)
        }
    });
    let newcomers = futures_util::future::join_all(newcomers).await;
    stop.cancel();
    let last = writing.await.unwrap();
    let expected: BTreeSet<_> = (1..=last).map(|n| format!("chat {n}")).collect();
    for (mut socket, mut client, mut all) in newcomers {
        client.follow(&mut socket, last).await;
        all.extend(client.contents().into_iter().map(str::to_owned));
        assert_eq!(all, expected);
    }
}
