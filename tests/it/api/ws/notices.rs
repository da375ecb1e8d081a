//! What is shown beside the timeline: read marks, typing, presence.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::say;
use crate::harness::{Person, Server, Socket, eventually, server::json_of};

/// Two people who have a conversation, and its id and last chat's.
async fn acquainted(server: &Server) -> (Person, Person, i64, i64) {
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    zhang.send(li.id, "one", "one").await;
    let chat = zhang.send(li.id, "two", "two").await["chat"].clone();
    (zhang, li, chat["conversationId"].as_i64().unwrap(), chat["id"].as_i64().unwrap())
}

fn read(conversation: i64, up_to: i64) -> Value {
    json!({"type": "read", "conversationId": conversation, "upTo": up_to})
}

#[tokio::test]
async fn a_read_mark_is_shown_to_the_other_side_and_to_ones_other_sockets() {
    let server = Server::start();
    let (zhang, li, conversation, last) = acquainted(&server).await;
    let stranger = server.person("王五").await;
    let (mut reading, mut beside) = (li.online().await, li.online().await);
    let (mut other, mut third) = (zhang.online().await, stranger.online().await);
    reading.send(&read(conversation, last - 1)).await;
    let shown =
        json!({"type": "read", "conversationId": conversation, "userId": li.id, "upTo": last - 1});
    assert_eq!(other.expect("read").await, shown);
    assert_eq!(beside.expect("read").await, shown);
    // It moves forwards only, and not past the last chat.
    reading.send(&read(conversation, 1)).await;
    reading.send(&read(conversation, last + 1_000)).await;
    assert_eq!(other.expect("read").await["upTo"], last);
    assert_eq!(beside.expect("read").await["upTo"], last);
    // Over HTTP there is no socket of one's own to leave out.
    zhang.send(li.id, "three", "three").await;
    for socket in [&mut reading, &mut beside, &mut other] {
        socket.expect("event").await;
    }
    let path = format!("/v1/conversations/{conversation}/read");
    assert_eq!(li.post(&path, &json!({"upTo": last + 1})).await.status(), 204);
    for socket in [&mut reading, &mut beside, &mut other] {
        assert_eq!(socket.expect("read").await["upTo"], last + 1);
    }
    // Nobody else has heard of any of it.
    for socket in [&mut reading, &mut beside, &mut other, &mut third] {
        socket.expect_quiet().await;
    }
}

#[tokio::test]
async fn a_foreign_conversation_cannot_be_marked() {
    let server = Server::start();
    let (zhang, _, conversation, last) = acquainted(&server).await;
    let stranger = server.person("王五").await;
    let (mut other, mut socket) = (zhang.online().await, stranger.online().await);
    let mut details = Vec::new();
    for conversation in [conversation, conversation + 1_000] {
        socket.send(&read(conversation, last)).await;
        let error = socket.expect("error").await;
        assert_eq!(error["code"], "conversation_not_found");
        details.push(error["detail"].clone());
    }
    assert_eq!(details[0], details[1], "the two can be told apart");
    other.expect_quiet().await;
}

#[tokio::test]
async fn typing_is_forwarded_once_in_two_seconds() {
    let server = Server::start();
    let (zhang, li, ..) = acquainted(&server).await;
    let (mut typing, mut shown) = (zhang.online().await, li.online().await);
    let frame = json!({"type": "typing", "targetUserId": li.id});
    let begun = Instant::now();
    let seen = tokio::select! {
        seen = async {
            let mut seen = Vec::new();
            while seen.len() < 3 {
                let frame = shown.frame().await;
                assert_eq!(frame, json!({"type": "typing", "userId": zhang.id}));
                seen.push(begun.elapsed());
            }
            seen
        } => seen,
        () = async {
            loop {
                typing.send(&frame).await;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        } => unreachable!(),
    };
    assert!(seen[2] > Duration::from_millis(3_900), "{seen:?}");
    // Never stored.
    assert_eq!(li.get_json("/v1/events").await["lastSeq"], 2);
}

#[tokio::test]
async fn typing_to_a_stranger_is_dropped_in_silence() {
    let server = Server::start();
    let (zhang, li, ..) = acquainted(&server).await;
    let stranger = server.person("王五").await;
    let (mut typing, mut at_stranger, mut at_li) =
        (zhang.online().await, stranger.online().await, li.online().await);
    for target in [stranger.id, 77, li.id] {
        typing.send(&json!({"type": "typing", "targetUserId": target})).await;
    }
    // In its order: what came before it was dropped.
    at_li.expect("typing").await;
    typing.expect_quiet().await;
    at_stranger.expect_quiet().await;
}

async fn watch(socket: &mut Socket, users: &[i64]) {
    socket.send(&json!({"type": "watch", "userIds": users})).await;
}

#[tokio::test]
async fn watch_is_answered_at_once_for_those_whom_one_knows() {
    let server = Server::start();
    let (zhang, li, ..) = acquainted(&server).await;
    let stranger = server.person("王五").await;
    let (_at_stranger, mut socket) = (stranger.online().await, zhang.online().await);
    watch(&mut socket, &[stranger.id, li.id, 77, zhang.id, li.id]).await;
    let mut answers = [socket.expect("presence").await, socket.expect("presence").await];
    answers.sort_by_key(|frame| frame["userId"] == zhang.id);
    let offline = json!({"type": "presence", "userId": li.id, "online": false, "lastSeenAt": null});
    assert_eq!(answers[0], offline);
    assert_eq!((&answers[1]["userId"], &answers[1]["online"]), (&json!(zhang.id), &json!(true)));
    watch(&mut socket, &[]).await;
    socket.expect_quiet().await;
    // At most 100, and ids.
    let many: Vec<i64> = (1..=100).collect();
    watch(&mut socket, &many).await;
    let wrong = [
        json!((1..=101).collect::<Vec<i64>>()),
        json!([li.id, 0]),
        json!([li.id, "7"]),
        json!([1.5]),
        json!([null]),
        json!([9_007_199_254_740_992_i64]),
        json!(li.id),
        json!({"a": 1}),
        Value::Null,
    ];
    for users in wrong {
        socket.send(&json!({"type": "watch", "userIds": users})).await;
        assert_eq!(socket.expect("error").await["code"], "invalid_user_ids", "{users}");
    }
    socket.expect_quiet().await;
}

#[tokio::test]
async fn a_new_list_replaces_the_last_one() {
    let server = Server::start();
    let (zhang, li, ..) = acquainted(&server).await;
    let wang = server.person("王五").await;
    zhang.send(wang.id, "to wang", "hello").await;
    let mut socket = zhang.online().await;
    watch(&mut socket, &[li.id]).await;
    assert_eq!(socket.expect("presence").await["userId"], li.id);
    watch(&mut socket, &[wang.id]).await;
    assert_eq!(socket.expect("presence").await["userId"], wang.id);
    let _at_li = li.online().await;
    let mut at_wang = wang.online().await;
    let came = socket.expect("presence").await;
    assert_eq!((&came["userId"], &came["online"]), (&json!(wang.id), &json!(true)));
    // A list that is refused replaces nothing.
    socket.send(&json!({"type": "watch", "userIds": [0]})).await;
    socket.expect("error").await;
    at_wang.expect_quiet().await;
    drop(at_wang);
    let went = socket.expect("presence").await;
    assert_eq!((&went["userId"], &went["online"]), (&json!(wang.id), &json!(false)));
}

/// Asserts that every way to ask says the same of `li`.
async fn assert_presence(zhang: &Person, li: &Person, online: bool) -> Value {
    let path = format!("/v1/presence?userIds={}", li.id);
    let presence = zhang.get_json(&path).await["presence"][0].clone();
    assert_eq!((&presence["userId"], &presence["online"]), (&json!(li.id), &json!(online)));
    let peer = zhang.get_json(&format!("/v1/conversations?peerId={}", li.id)).await;
    assert_eq!(peer["conversations"][0]["peer"]["online"], online);
    let everybody = zhang.get_json("/getOnlineUser").await;
    assert_eq!(everybody.get(li.id.to_string()).is_some(), online, "{everybody}");
    presence["lastSeenAt"].clone()
}

#[tokio::test]
async fn those_who_watch_see_one_come_and_after_five_seconds_go() {
    let server = Server::start();
    let (zhang, li, ..) = acquainted(&server).await;
    let stranger = server.person("王五").await;
    let (mut socket, mut unknown) = (zhang.online().await, stranger.online().await);
    watch(&mut socket, &[li.id]).await;
    watch(&mut unknown, &[li.id]).await;
    assert_eq!(socket.expect("presence").await["online"], false);
    assert_eq!(assert_presence(&zhang, &li, false).await, Value::Null);

    let (phone, tablet) = (li.online().await, li.online().await);
    let online = json!({"type": "presence", "userId": li.id, "online": true, "lastSeenAt": null});
    assert_eq!(socket.expect("presence").await, online);
    assert_presence(&zhang, &li, true).await;
    let everybody = zhang.get_json("/getOnlineUser").await;
    let entry = json!({"userId": li.id, "userName": "李四", "connections": 2});
    assert_eq!(everybody[li.id.to_string()], entry);
    let strange = stranger.get_json("/getOnlineUser").await;
    assert_eq!(strange.as_object().unwrap().keys().collect::<Vec<_>>(), [&stranger.id.to_string()]);

    // A short absence is nobody's business, though there is no socket to list.
    drop(phone);
    drop(tablet);
    eventually("both are gone", async || {
        let everybody = json_of(server.get("/getOnlineUser").await).await;
        everybody.get(li.id.to_string()).is_none()
    })
    .await;
    let path = format!("/v1/presence?userIds={}", li.id);
    assert_eq!(zhang.get_json(&path).await["presence"][0]["online"], true);
    let mut again = li.online().await;
    // A part of the grace of the first absence.
    tokio::time::sleep(Duration::from_secs(2)).await;
    say(&mut again, &zhang, "bye").await;
    again.expect("sent").await;
    socket.expect("event").await;
    let begun = Instant::now();
    drop(again);
    // Were the short absence announced, that would come too soon now.
    let went = socket.expect("presence").await;
    assert!((4..20).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    assert_eq!((&went["userId"], &went["online"]), (&json!(li.id), &json!(false)));
    assert!(went["lastSeenAt"].as_str().unwrap().ends_with('Z'));
    assert_eq!(assert_presence(&zhang, &li, false).await, went["lastSeenAt"]);
    unknown.expect_quiet().await;
}
