//! Somebody else's ids in the frames of both kinds of socket.

use serde_json::{Value, json};

use super::{NOBODY, Seat, World};
use crate::harness::Socket;

/// Every frame of version 1 after `hello`, as whoever has this seat may send it.
fn requests(seat: &Seat<'_>) -> Vec<Value> {
    let peer = seat.peer.id;
    vec![
        json!({"type": "send", "clientMsgId": "s1", "targetUserId": peer, "content": seat.said}),
        json!({"type": "read", "conversationId": seat.conversation, "upTo": 1}),
        json!({"type": "typing", "targetUserId": peer}),
        json!({"type": "watch", "userIds": [peer]}),
        json!({"type": "ping"}),
        json!({"type": "hello"}),
        json!({"type": "dance"}),
    ]
}

async fn legacy(world: &World, seat: &Seat<'_>) -> Socket {
    let token = format!("Bearer {}", seat.me.token);
    let path = format!("/imserver/{}", seat.me.id);
    Socket::open(world.server.addr, &path, &[("authorization", &token)]).await.ok().unwrap()
}

fn with_user(frame: &Value, user: &Value) -> Value {
    let mut frame = frame.clone();
    frame["userId"] = user.clone();
    frame
}

#[tokio::test]
async fn a_frame_that_names_somebody_else_is_an_error() {
    let world = World::new().await;
    let before = world.state().await;
    for seat in world.seats() {
        let mut socket = seat.me.online().await;
        for other in world.people.iter().map(|person| person.id).chain([NOBODY]) {
            if other == seat.me.id {
                continue;
            }
            for frame in requests(&seat) {
                socket.send(&with_user(&frame, &json!(other))).await;
                let error = socket.expect("error").await;
                assert_eq!(error["code"], "forbidden", "{frame}");
                assert_eq!(error["clientMsgId"], frame["clientMsgId"], "{frame}");
            }
        }
    }
    assert_eq!(world.state().await, before);
}

#[tokio::test]
async fn a_user_id_that_is_none_is_an_error_and_ones_own_is_taken() {
    let world = World::new().await;
    let [seat, ..] = world.seats();
    let before = world.state().await;
    let mut socket = seat.me.online().await;
    for frame in requests(&seat) {
        for wrong in [json!("1"), json!(0), json!(1.5), json!([]), json!(true)] {
            socket.send(&with_user(&frame, &wrong)).await;
            let error = socket.expect("error").await;
            assert_eq!(error["code"], "invalid_request", "{frame} {wrong}");
        }
    }
    assert_eq!(world.state().await, before);
    let send = &requests(&seat)[0];
    socket.send(&with_user(send, &json!(seat.me.id))).await;
    assert_eq!(socket.expect("sent").await["chat"]["userId"], seat.me.id);
    socket.send(&json!({"type": "ping", "userId": null})).await;
    socket.expect("pong").await;
}

#[tokio::test]
async fn a_hello_as_somebody_else_opens_nothing() {
    let world = World::new().await;
    let [seat, ..] = world.seats();
    for (user, code) in [
        (json!(seat.peer.id), "forbidden"),
        (json!(NOBODY), "forbidden"),
        (json!("1"), "invalid_hello"),
        (json!(0), "invalid_hello"),
    ] {
        let mut socket = seat.me.connect().await;
        socket.send(&json!({"type": "hello", "since": 0, "userId": user})).await;
        assert_eq!(socket.expect("error").await["code"], code, "{user}");
        assert_eq!(socket.closed().await, 4400, "{user}");
    }
    let (_socket, ready) = seat.me.hello(&json!({"userId": seat.me.id})).await;
    assert_eq!(ready["userId"], seat.me.id);
}

#[tokio::test]
async fn a_foreign_conversation_in_a_frame_is_a_missing_one() {
    let world = World::new().await;
    let before = world.state().await;
    for seat in world.seats() {
        let mut at_peer = seat.peer.online().await;
        let mut socket = seat.me.online().await;
        let mut answers = Vec::new();
        for id in [seat.foreign, NOBODY] {
            socket.send(&json!({"type": "read", "conversationId": id, "upTo": 1})).await;
            answers.push(socket.expect("error").await);
        }
        assert_eq!(answers[0]["code"], "conversation_not_found");
        assert_eq!(answers[0], answers[1]);
        at_peer.expect_quiet().await;
    }
    assert_eq!(world.state().await, before);
}

#[tokio::test]
async fn a_replay_holds_ones_own_events_only() {
    let world = World::new().await;
    for seat in world.seats() {
        let (mut socket, ready) = seat.me.hello(&json!({"since": 0})).await;
        // Two chats with the partner; and of two groups a line, how it is now, and a chat.
        assert_eq!(ready["lastSeq"], 8);
        let mut said = Vec::new();
        for seq in 1..=8 {
            let event = socket.expect("event").await;
            assert_eq!(event["seq"], seq);
            assert!(!event.to_string().contains(seat.unsaid), "{event}");
            said.extend(event["chat"]["content"].as_str().map(str::to_owned));
        }
        assert_eq!(said[..2], [seat.said, seat.said]);
        assert_eq!(said.iter().filter(|said| *said == "in a group").count(), 2);
        socket.expect_quiet().await;
    }
}

#[tokio::test]
async fn a_legacy_socket_acts_as_its_token_only() {
    let world = World::new().await;
    for seat in world.seats() {
        let before = world.state().await;
        let mut socket = legacy(&world, &seat).await;
        let chat = |user: Value| json!({"userId": user, "targetUserId": seat.peer.id, "content": seat.said});
        for other in world.people.iter().map(|person| person.id).chain([NOBODY]) {
            if other != seat.me.id {
                socket.send(&chat(json!(other))).await;
                let problem = socket.frame().await;
                assert_eq!(problem["code"], "forbidden", "{problem}");
                assert_eq!(problem["status"], 403);
            }
        }
        for wrong in [json!("1"), json!(0), Value::Null, json!([])] {
            socket.send(&chat(wrong)).await;
            assert_eq!(socket.frame().await["code"], "invalid_request");
        }
        assert_eq!(world.state().await, before);
        socket.send(&chat(json!(seat.me.id))).await;
        let chats = socket.frame().await;
        let chats = chats.as_array().unwrap();
        assert!(chats.len() >= 3, "{chats:?}");
        for chat in chats {
            assert_eq!(chat["content"], seat.said);
        }
    }
}
