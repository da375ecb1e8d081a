//! A client that comes back goes on where it was, or is told to load anew; HTTP says the same.

use imserver::{
    domain::{Seq, UserId},
    store::Timelines,
};
use serde_json::{Value, json};

use super::{Client, commit, say, store, without_limits};
use crate::harness::{
    Person, Server, Start,
    server::{assert_problem, json_of},
};

/// A server on which the second has these many chats of the first.
async fn with_history(start: Start, count: usize) -> (Server, Person, Person) {
    let server = start.run();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    commit(&server, &zhang, &li, count, "").await;
    (server, zhang, li)
}

/// The frames that a client gets that comes back like this; `None`: it is told to load anew. Asserts
/// that the socket and HTTP agree.
async fn resume(person: &Person, hello: Value) -> Option<Vec<Value>> {
    let over_socket = resume_by_socket(person, &hello).await;
    let over_http = resume_by_http(person, &hello).await;
    assert_eq!(over_socket, over_http, "socket and HTTP after {hello}");
    over_socket
}

async fn resume_by_socket(person: &Person, hello: &Value) -> Option<Vec<Value>> {
    let (mut socket, ready) = person.hello(hello).await;
    let mut client = Client::at(hello["since"].as_i64().unwrap_or(ready["lastSeq"].as_i64()?));
    let mut frames = Vec::new();
    // Shows that nothing comes where nothing is to come.
    socket.send(&json!({"type": "ping"})).await;
    let (mut ponged, mut reset) = (false, false);
    while !ponged || (!reset && client.cursor != ready["lastSeq"]) {
        let frame = socket.frame().await;
        match frame["type"].as_str().unwrap() {
            "pong" => ponged = true,
            "reset" => {
                assert!(frames.is_empty() && !reset, "{frame}");
                assert_eq!(frame["lastSeq"], ready["lastSeq"]);
                assert_eq!(frame["epoch"], ready["epoch"]);
                reset = true;
            }
            _ => {
                client.apply(&frame);
                frames.push(frame);
            }
        }
    }
    socket.expect_quiet().await;
    (!reset).then_some(frames)
}

async fn resume_by_http(person: &Person, hello: &Value) -> Option<Vec<Value>> {
    let epoch = hello["epoch"].as_str().map(|epoch| format!("&epoch={epoch}")).unwrap_or_default();
    let mut since = hello["since"].as_i64();
    let mut frames = Vec::new();
    loop {
        let from = since.map(|since| format!("&since={since}")).unwrap_or_default();
        let response = person.get(&format!("/v1/events?limit=3{from}{epoch}")).await;
        if response.status() == 409 {
            assert_problem(response, 409, "timeline_reset").await;
            assert!(frames.is_empty());
            return None;
        }
        assert_eq!(response.status(), 200);
        let page = json_of(response).await;
        let events = page["events"].as_array().unwrap();
        frames.extend(events.iter().cloned());
        let reached = events.last().map_or(since, |event| event["seq"].as_i64());
        if page["hasMore"] == false {
            assert!(reached.is_none() || json!(reached) == page["lastSeq"], "{page}");
            return Some(frames);
        }
        assert_eq!(events.len(), 3, "a page before the last one is full: {page}");
        since = reached;
    }
}

fn seqs(frames: Option<Vec<Value>>) -> Option<Vec<i64>> {
    Some(frames?.iter().map(|frame| frame["seq"].as_i64().unwrap()).collect())
}

async fn epoch_of(person: &Person) -> String {
    let page = person.get_json("/v1/events").await;
    page["epoch"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_client_goes_on_where_it_was() {
    let (_server, zhang, li) = with_history(Start::default(), 7).await;
    let epoch = epoch_of(&li).await;
    let all: Vec<_> = (1..=7).collect();
    let after = |since: Value| json!({"since": since, "epoch": epoch});
    assert_eq!(seqs(resume(&li, after(0.into())).await), Some(all.clone()));
    assert_eq!(seqs(resume(&li, after(4.into())).await), Some(vec![5, 6, 7]));
    assert_eq!(seqs(resume(&li, after(6.into())).await), Some(vec![7]));
    assert_eq!(seqs(resume(&li, after(7.into())).await), Some(vec![]));
    // Absent and null are the same: from now on.
    assert_eq!(seqs(resume(&li, json!({})).await), Some(vec![]));
    assert_eq!(seqs(resume(&li, after(Value::Null)).await), Some(vec![]));
    assert_eq!(seqs(resume(&li, json!({"epoch": epoch})).await), Some(vec![]));
    // Without an epoch, or with none, it is taken on trust.
    assert_eq!(seqs(resume(&li, json!({"since": 5})).await), Some(vec![6, 7]));
    assert_eq!(seqs(resume(&li, json!({"since": 5, "epoch": null})).await), Some(vec![6, 7]));
    // The sender's timeline has the same chats, as events: no socket has a send of them pending.
    let own = resume(&zhang, json!({"since": 0})).await.unwrap();
    assert!(own.iter().all(|frame| frame["type"] == "event"));
    assert_eq!(own[6]["chat"]["content"], "6");
}

#[tokio::test]
async fn a_place_that_means_nothing_is_answered_by_reset() {
    let (_server, _, li) = with_history(Start::default(), 7).await;
    let epoch = epoch_of(&li).await;
    assert_eq!(resume(&li, json!({"since": 8})).await, None);
    assert_eq!(
        resume(&li, json!({"since": 9_007_199_254_740_991_i64, "epoch": epoch})).await,
        None
    );
    let foreign = "00000000-0000-4000-8000-000000000000";
    assert_eq!(resume(&li, json!({"since": 3, "epoch": foreign})).await, None);
    assert_eq!(resume(&li, json!({"since": 3, "epoch": "yesterday"})).await, None);
    assert_eq!(resume(&li, json!({"epoch": foreign})).await, None);
}

#[tokio::test]
async fn a_place_before_what_is_kept_is_answered_by_reset() {
    let (server, _, li) = with_history(Start::default(), 7).await;
    let (store, id) = (store(&server).await, UserId::new(li.id).unwrap());
    store.trim_timeline(id, Seq::new(4).unwrap()).await.unwrap();
    assert_eq!(seqs(resume(&li, json!({"since": 4})).await), Some(vec![5, 6, 7]));
    assert_eq!(resume(&li, json!({"since": 3})).await, None);
    assert_eq!(resume(&li, json!({"since": 0})).await, None);
    store.trim_timeline(id, Seq::new(7).unwrap()).await.unwrap();
    assert_eq!(seqs(resume(&li, json!({"since": 7})).await), Some(vec![]));
    assert_eq!(resume(&li, json!({"since": 6})).await, None);
}

#[tokio::test]
async fn too_far_behind_is_answered_by_reset() {
    let start = Start::default().set("delivery.replay_limit", 3);
    let (_server, _, li) = with_history(start, 7).await;
    assert_eq!(seqs(resume(&li, json!({"since": 4})).await), Some(vec![5, 6, 7]));
    assert_eq!(resume(&li, json!({"since": 3})).await, None);
    assert_eq!(resume(&li, json!({"since": 0})).await, None);
}

#[tokio::test]
async fn after_a_reset_a_client_goes_on_from_the_end() {
    let (_server, zhang, li) = with_history(Start::default(), 7).await;
    let (mut socket, _) = li.hello(&json!({"since": 70})).await;
    let reset = socket.expect("reset").await;
    let mut client = Client::at(reset["lastSeq"].as_i64().unwrap());
    zhang.send(li.id, "next", "next").await;
    client.follow(&mut socket, 8).await;
    assert_eq!(client.contents(), ["next"]);
}

#[tokio::test]
async fn a_hole_in_the_store_is_answered_by_reset_and_never_by_a_spin() {
    let (server, zhang, li) = with_history(Start::default(), 7).await;
    let hole = format!("DELETE FROM timeline_events WHERE user_id = {} AND seq = 4", li.id);
    super::tamper(&server, &hole).await;
    let (mut socket, _) = li.hello(&json!({"since": 1})).await;
    // What stands before the hole may be shown first.
    let reset = socket.until("reset").await;
    assert_eq!(reset["lastSeq"], 7);
    zhang.send(li.id, "next", "next").await;
    Client::at(7).follow(&mut socket, 8).await;
    assert_problem(li.get("/v1/events?since=1").await, 409, "timeline_reset").await;
}

#[tokio::test]
async fn thousands_behind_at_a_slow_readers_pace_while_new_chats_arrive() {
    const BEHIND: usize = 5_000;
    const LIVE: usize = 600;
    let (_server, zhang, li) = with_history(without_limits(), BEHIND).await;
    let mut socket = li.connect_narrowly().await;
    socket.send(&json!({"type": "hello", "since": 0})).await;
    assert_eq!(socket.expect("ready").await["lastSeq"], BEHIND);
    let mut at_zhang = zhang.online().await;
    let reading = async {
        let mut client = Client::default();
        for n in 1..=i64::try_from(BEHIND + LIVE).unwrap() {
            client.follow(&mut socket, n).await;
            // Bursts of a hundred with pauses between them, then of ten.
            if n % 100 == 0 || (n > 4_000 && n % 10 == 0) {
                tokio::time::sleep(std::time::Duration::from_millis(8)).await;
            }
        }
        client
    };
    let writing = async {
        for n in 0..LIVE {
            say(&mut at_zhang, &li, &format!("live {n}")).await;
            at_zhang.expect("sent").await;
        }
    };
    let (client, ()) = tokio::join!(reading, writing);
    socket.expect_quiet().await;
    let expected = (0..BEHIND).map(|n| n.to_string());
    let expected: Vec<_> = expected.chain((0..LIVE).map(|n| format!("live {n}"))).collect();
    assert_eq!(client.contents(), expected);
}
