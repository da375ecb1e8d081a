//! Bad frames on a socket of version 1.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    },
};

use super::{Is, Stage, deep, no_objects, shown, with};
use crate::harness::Socket;

/// Sends a frame that must be answered by this error, and by nothing else.
pub async fn refuse(socket: &mut Socket, frame: &str, code: &str) -> Value {
    socket.send_text(frame).await;
    let error = socket.expect("error").await;
    assert_eq!(error["code"], code, "{}: {error}", shown(frame));
    assert!(error["detail"].is_string());
    socket.expect_quiet().await;
    error
}

#[tokio::test]
async fn every_wrong_value_of_every_frame_is_an_error_and_the_socket_stays() {
    let stage = Stage::set().await;
    let before = stage.seen().await;
    let mut socket = stage.zhang.online().await;
    let mut at_li = stage.li.online().await;
    let fields = |list: &[(&'static str, &str)]| {
        list.iter().map(|(key, value)| (*key, (*value).to_owned())).collect::<Vec<_>>()
    };
    let (li, conversation) = (stage.li.id.to_string(), stage.conversation.to_string());
    let send = fields(&[
        ("type", r#""send""#),
        ("clientMsgId", r#""k""#),
        ("targetUserId", &li),
        ("content", r#""你好""#),
    ]);
    let read = fields(&[("type", r#""read""#), ("conversationId", &conversation), ("upTo", "1")]);
    let typing = fields(&[("type", r#""typing""#), ("targetUserId", &li)]);
    let watch = fields(&[("type", r#""watch""#), ("userIds", "[]")]);
    let ping = fields(&[("type", r#""ping""#)]);
    for (frame, key, kind) in [
        (&send, "clientMsgId", Is::Key),
        (&send, "targetUserId", Is::Id),
        (&send, "content", Is::Content),
        (&send, "userId", Is::OptionalId),
        (&read, "conversationId", Is::Id),
        (&read, "upTo", Is::Id),
        (&read, "userId", Is::OptionalId),
        (&typing, "targetUserId", Is::Id),
        (&watch, "userId", Is::OptionalId),
        (&ping, "userId", Is::OptionalId),
    ] {
        for (value, code) in kind.wrong() {
            let text = with(frame, key, value.as_deref());
            let error = refuse(&mut socket, &text, code).await;
            let is_keyed = std::ptr::eq(frame, &raw const send) && key != "clientMsgId";
            let expected = if is_keyed { json!("k") } else { Value::Null };
            assert_eq!(error["clientMsgId"], expected, "{}", shown(&text));
        }
    }
    at_li.expect_quiet().await;
    assert_eq!(without_presence(&stage.seen().await), without_presence(&before));
    socket.send_text(&with(&send, "", None)).await;
    assert_eq!(socket.expect("sent").await["seq"], 2);
}

/// The sockets of this test make people online.
pub fn without_presence(seen: &Value) -> String {
    seen.to_string().replace(r#"\"online\":true"#, r#"\"online\":false"#)
}

#[tokio::test]
async fn lists_of_users_and_unknown_things_are_errors() {
    let stage = Stage::set().await;
    let mut socket = stage.zhang.online().await;
    let many = format!("[{}]", vec!["1"; 101].join(","));
    for list in [
        "[0]",
        "[-1]",
        "[1.5]",
        "[1e3]",
        r#"["1"]"#,
        "[null]",
        "[[1]]",
        "[true]",
        "[{}]",
        "{}",
        "1",
        r#""1,2""#,
        "true",
        "[9007199254740992]",
        "[9223372036854775808]",
        r#"["\ud800"]"#,
        "null",
        &many,
        &deep(),
    ] {
        let frame = format!(r#"{{"type":"watch","userIds":{list}}}"#);
        refuse(&mut socket, &frame, "invalid_user_ids").await;
    }
    refuse(&mut socket, r#"{"type":"watch"}"#, "invalid_user_ids").await;
    for kind in ["", "x", "PING", "ping ", "event", "\\u0000", "\\ud800", "😀", &"x".repeat(50_000)]
    {
        refuse(&mut socket, &format!(r#"{{"type":"{kind}"}}"#), "unknown_type").await;
    }
    refuse(&mut socket, r#"{"type":"hello","since":-1}"#, "unexpected_hello").await;
    let nowhere = r#"{"type":"read","conversationId":9007199254740991,"upTo":1}"#;
    refuse(&mut socket, nowhere, "conversation_not_found").await;
    let nobody = r#"{"type":"send","clientMsgId":"k","targetUserId":7,"content":"x"}"#;
    assert_eq!(refuse(&mut socket, nobody, "user_not_found").await["clientMsgId"], "k");
    let other = format!(r#"{{"type":"ping","userId":{}}}"#, stage.li.id);
    refuse(&mut socket, &other, "forbidden").await;
    let reused = format!(
        r#"{{"type":"send","clientMsgId":"first","targetUserId":{},"content":"x"}}"#,
        stage.li.id
    );
    let error = refuse(&mut socket, &reused, "client_msg_id_reused").await;
    assert_eq!(error["clientMsgId"], "first");
}

#[tokio::test]
async fn what_nobody_knows_in_a_frame_is_ignored() {
    let stage = Stage::set().await;
    let mut socket = stage.zhang.online().await;
    let long = " ".repeat(64 * 1024 - r#"{"type":"ping"}"#.len());
    for frame in [
        r#"{"\ud800":1,"type":"ping"}"#,
        r#"{"x":"\ud800","type":"ping"}"#,
        r#"{"x":{"\udc00":[]},"type":"ping"}"#,
        r#"{"type":"ping","x":1e400}"#,
        r#"{"type":"pong","type":"ping"}"#,
        r#"{"\u0074ype":"\u0070ing"}"#,
        r#"{"type":"ping","userId":null,"clientMsgId":7}"#,
        &format!(r#"{{"x":{},"type":"ping"}}"#, deep()),
        &format!(r#"{{"type":"ping"}}{long}"#),
    ] {
        socket.send_text(frame).await;
        assert_eq!(socket.frame().await, json!({"type": "pong"}), "{}", shown(frame));
    }
}

#[tokio::test]
async fn a_hello_with_a_bad_value_is_named_and_closed() {
    let stage = Stage::set().await;
    let long = format!(r#""{}""#, "x".repeat(65));
    let since = [
        "-1",
        "1.5",
        "1e3",
        r#""0""#,
        "true",
        "[]",
        "{}",
        "9007199254740992",
        "9223372036854775808",
    ];
    let device = ["7", "true", "[]", r#""""#, r#""\u0000""#, r#""a\nb""#, r#""\ud800""#, &long];
    let epoch = ["7", "[]", "{}", "false", r#""\ud800""#];
    let bad = since.map(|value| ("since", value)).into_iter();
    let bad = bad.chain(device.map(|value| ("deviceId", value)));
    for (key, value) in bad.chain(epoch.map(|value| ("epoch", value))) {
        let mut socket = stage.zhang.connect().await;
        socket.send_text(&format!(r#"{{"type":"hello","{key}":{value}}}"#)).await;
        let error = socket.expect("error").await;
        assert_eq!(error["code"], "invalid_hello", "{key} {value}");
        assert!(error["detail"].as_str().unwrap().contains(key), "{error}");
        assert_eq!(socket.closed().await, 4400, "{key} {value}");
    }
    let mut socket = stage.zhang.connect().await;
    let strange = r#"{"type":"hello","since":null,"epoch":null,"deviceId":null,"\ud800":1}"#;
    socket.send_text(strange).await;
    socket.expect("ready").await;
}

#[tokio::test]
async fn what_is_no_protocol_closes_the_socket_and_no_other() {
    let stage = Stage::set().await;
    let before = stage.seen().await;
    // The same user may have five.
    let mut bystander = stage.li.online().await;
    let mut messages: Vec<Message> = no_objects()
        .into_iter()
        .filter_map(|bytes| String::from_utf8(bytes).ok())
        .chain([r#"{"type":5}"#, r#"{"type":null}"#, r#"{"type":[]}"#, "{}"].map(str::to_owned))
        .map(Message::text)
        .collect();
    messages.push(Message::binary(r#"{"type":"ping"}"#));
    messages.push(Message::binary(Vec::new()));
    for message in messages {
        for says_hello in [false, true] {
            let mut socket =
                if says_hello { stage.zhang.online().await } else { stage.zhang.connect().await };
            socket.send_raw(message.clone()).await;
            let text = shown(&message.to_string());
            assert_eq!(socket.closed().await, 4400, "{text}, hello {says_hello}");
        }
    }
    let bad_utf8 = Frame::message(b"{\"type\":\"\xff\"}".to_vec(), OpCode::Data(Data::Text), true);
    for (message, code) in [
        (Message::Frame(bad_utf8), 1007),
        (Message::text("x".repeat(64 * 1024 + 1)), 1009),
        (Message::binary(vec![0; 64 * 1024 + 1]), 1009),
        (Message::text(format!(r#"{{"type":"ping"}}{}"#, " ".repeat(64 * 1024))), 1009),
    ] {
        let mut socket = stage.zhang.online().await;
        socket.send_raw(message).await;
        assert_eq!(socket.closed().await, code);
    }
    bystander.expect_quiet().await;
    let after = without_presence(&stage.seen().await);
    assert_eq!(after, without_presence(&before));
}
