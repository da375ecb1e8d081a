//! Frames that are no protocol close the socket; everything else that is wrong is an `error`.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    },
};

use super::say;
use crate::harness::{DEADLINE, Person, Seen, Server, Socket};

const MAX_BYTES: usize = 64 * 1024;

/// A text frame of bytes that need be no text.
fn raw_text(bytes: Vec<u8>) -> Message {
    Message::Frame(Frame::message(bytes, OpCode::Data(Data::Text), true))
}

/// A frame of a known type with an unknown key that makes it this long.
fn ping_of(bytes: usize) -> String {
    let frame = json!({"type": "ping", "padding": ""}).to_string();
    frame.replace("\"\"", &format!("\"{}\"", "x".repeat(bytes - frame.len())))
}

async fn person() -> (Server, Person) {
    let server = Server::start();
    let zhang = server.person("张三").await;
    (server, zhang)
}

#[tokio::test]
async fn what_is_no_protocol_closes_with_4400() {
    let (_server, zhang) = person().await;
    let texts = ["", "ping", "{", "[]", "[{\"type\":\"ping\"}]", "\"ping\"", "null", "7", "{}"];
    let types = [json!(null), json!(7), json!(["ping"]), json!({"type": "ping"}), json!(true)];
    let frames = texts.into_iter().map(str::to_owned);
    let frames = frames.chain(types.into_iter().map(|kind| json!({"type": kind}).to_string()));
    for frame in frames {
        for greeted in [true, false] {
            let mut socket = if greeted { zhang.online().await } else { zhang.connect().await };
            socket.send_text(&frame).await;
            assert_eq!(socket.next().await, Seen::Closed(4400), "{frame}, greeted: {greeted}");
        }
    }
    for greeted in [true, false] {
        let mut socket = if greeted { zhang.online().await } else { zhang.connect().await };
        socket.send_raw(Message::binary(&b"{\"type\":\"ping\"}"[..])).await;
        assert_eq!(socket.next().await, Seen::Closed(4400));
    }
}

#[tokio::test]
async fn the_first_frame_is_a_good_hello() {
    let (_server, zhang) = person().await;
    for first in ["ping", "send", "watch", "helo"] {
        let mut socket = zhang.connect().await;
        socket.send(&json!({"type": first})).await;
        assert_eq!(socket.next().await, Seen::Closed(4400), "{first}");
    }
    let long = "x".repeat(65);
    let bad = [
        json!({"since": -1}),
        json!({"since": "7"}),
        json!({"since": 1.5}),
        json!({"since": true}),
        json!({"since": 9_007_199_254_740_992_i64}),
        json!({"since": 9_223_372_036_854_775_808_u64}),
        json!({"since": [1]}),
        json!({"epoch": 7}),
        json!({"deviceId": 7}),
        json!({"deviceId": ""}),
        json!({"deviceId": "a\nb"}),
        json!({"deviceId": long}),
    ];
    for hello in bad {
        let mut socket = zhang.connect().await;
        let mut frame = hello.clone();
        frame["type"] = "hello".into();
        socket.send(&frame).await;
        assert_eq!(socket.expect("error").await["code"], "invalid_hello", "{hello}");
        assert_eq!(socket.next().await, Seen::Closed(4400), "{hello}");
    }
    let mut socket = zhang.connect().await;
    socket.send(&json!({"type": "hello", "userId": zhang.id + 1})).await;
    assert_eq!(socket.expect("error").await["code"], "forbidden");
    assert_eq!(socket.next().await, Seen::Closed(4400));
    // What is unknown is ignored.
    let good = json!({"userId": zhang.id, "deviceId": "x".repeat(64), "colour": {"a": [1]}});
    let (mut socket, ready) = zhang.hello(&good).await;
    assert_eq!(ready["userId"], zhang.id);
    assert!(!ready["connectionId"].is_null() && ready["heartbeatMs"].as_i64().unwrap() > 0);
    socket.expect_quiet().await;
}

#[tokio::test]
async fn a_second_hello_is_an_error() {
    let (_server, zhang) = person().await;
    let mut socket = zhang.online().await;
    for hello in [json!({"type": "hello"}), json!({"type": "hello", "since": -1})] {
        socket.send(&hello).await;
        assert_eq!(socket.expect("error").await["code"], "unexpected_hello");
    }
    socket.expect_quiet().await;
}

#[tokio::test]
async fn everything_else_that_is_wrong_is_an_error() {
    let (server, zhang) = person().await;
    let li = server.person("李四").await;
    let mut socket = zhang.online().await;
    let send = |key: Value, target: Value, content: Value| json!({"type": "send", "clientMsgId": key, "targetUserId": target, "content": content});
    let (k, to, hi) = (json!("k"), json!(li.id), json!("hi"));
    let wrong = [
        (json!({"type": "sing"}), "unknown_type"),
        (json!({"type": "event", "seq": 1}), "unknown_type"),
        (json!({"type": "ping", "userId": li.id}), "forbidden"),
        (json!({"type": "ping", "userId": "me"}), "invalid_request"),
        (json!({"type": "send"}), "invalid_request"),
        (send(Value::Null, to.clone(), hi.clone()), "invalid_request"),
        (send(json!(""), to.clone(), hi.clone()), "invalid_request"),
        (send(json!("é"), to.clone(), hi.clone()), "invalid_request"),
        (send(json!("x".repeat(65)), to.clone(), hi.clone()), "invalid_request"),
        (send(k.clone(), json!(0), hi.clone()), "invalid_request"),
        (send(k.clone(), json!("7"), hi.clone()), "invalid_request"),
        (send(k.clone(), json!(9_007_199_254_740_991_i64), hi.clone()), "user_not_found"),
        (send(k.clone(), to.clone(), Value::Null), "invalid_request"),
        (send(k.clone(), to.clone(), json!(7)), "invalid_request"),
        (send(k.clone(), to.clone(), json!("")), "invalid_content"),
        (send(k.clone(), to.clone(), json!(" \n")), "invalid_content"),
        (send(k.clone(), to.clone(), json!("a\u{0}b")), "invalid_content"),
        (send(k.clone(), to.clone(), json!("好".repeat(2_001))), "invalid_content"),
        (json!({"type": "read", "conversationId": 1}), "invalid_request"),
        (json!({"type": "read", "conversationId": 0, "upTo": 1}), "invalid_request"),
        (json!({"type": "typing"}), "invalid_request"),
        (json!({"type": "typing", "targetUserId": -1}), "invalid_request"),
    ];
    for (frame, code) in wrong {
        socket.send(&frame).await;
        let error = socket.expect("error").await;
        assert_eq!(error["code"], code, "{frame}");
        assert!(error["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{error}");
        assert!(error.get("retryAfterMs").is_none(), "final: {error}");
        // A send is answered by its key, wherever that is one.
        let key = (frame["type"] == "send" && frame["clientMsgId"] == "k").then_some(&k);
        assert_eq!(error.get("clientMsgId"), key, "{frame}");
    }
    socket
        .send_text(r#"{"type":"send","clientMsgId":"k","targetUserId":1,"content":"\ud800"}"#)
        .await;
    assert_eq!(socket.expect("error").await["code"], "invalid_content");
    // Nothing of it was stored, and the key is still good.
    say(&mut socket, &li, "k").await;
    assert_eq!(socket.expect("sent").await["seq"], 1);
    socket.expect_quiet().await;
}

#[tokio::test]
async fn a_frame_of_64_kib_is_read_and_a_longer_one_closes_with_1009() {
    let (server, zhang) = person().await;
    let mut socket = zhang.online().await;
    socket.send_text(&ping_of(MAX_BYTES)).await;
    socket.expect("pong").await;
    socket.send_text(&ping_of(MAX_BYTES + 1)).await;
    assert_eq!(socket.next().await, Seen::Closed(1009));
    let mut socket = zhang.connect().await;
    socket.send_text(&ping_of(MAX_BYTES + 1)).await;
    assert_eq!(socket.next().await, Seen::Closed(1009));
    let mut socket = zhang.online().await;
    socket.send_raw(Message::binary(vec![0; MAX_BYTES + 1])).await;
    assert_eq!(socket.next().await, Seen::Closed(1009));

    let mut legacy = Socket::legacy(server.addr, 7).await;
    legacy.send_text(&ping_of(MAX_BYTES)).await;
    assert_eq!(legacy.frame().await["code"], "invalid_request");
    legacy.send_text(&ping_of(MAX_BYTES + 1)).await;
    assert_eq!(legacy.next().await, Seen::Closed(1009));
}

#[tokio::test]
async fn a_frame_that_is_far_too_long_is_told_so_too() {
    let (server, zhang) = person().await;
    for bytes in [2 * MAX_BYTES + 1, 16 * MAX_BYTES, 256 * MAX_BYTES] {
        for legacy in [true, false] {
            let socket =
                if legacy { Socket::legacy(server.addr, 7).await } else { zhang.online().await };
            // As browsers and mini programs do, this client reads while it writes.
            let (mut sending, mut receiving) = socket.into_stream().split();
            let text = Message::text(ping_of(bytes));
            let writing = tokio::spawn(async move { sending.send(text).await });
            let last = timeout(DEADLINE, receiving.next()).await.unwrap().unwrap();
            let Ok(Message::Close(Some(close))) = last else { panic!("{bytes} bytes: {last:?}") };
            assert_eq!(u16::from(close.code), 1009, "{bytes} bytes, legacy: {legacy}");
            writing.abort();
        }
    }
}

#[tokio::test]
async fn text_that_is_no_utf8_closes_with_1007() {
    let (server, zhang) = person().await;
    let mut texts = vec![vec![0xff], b"{\"type\":\"ping\xc3\"}".to_vec(), vec![0xed, 0xa0, 0x80]];
    texts.push([ping_of(60_000).as_bytes(), &[0xc0, 0x80]].concat());
    for text in texts {
        for socket in [zhang.online().await, zhang.connect().await] {
            let mut socket = socket;
            socket.send_raw(raw_text(text.clone())).await;
            assert_eq!(socket.next().await, Seen::Closed(1007));
        }
        let mut legacy = Socket::legacy(server.addr, 7).await;
        legacy.send_raw(raw_text(text)).await;
        assert_eq!(legacy.next().await, Seen::Closed(1007));
    }
}
