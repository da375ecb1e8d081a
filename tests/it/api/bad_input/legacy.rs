//! Bad frames on a legacy socket.

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use super::{Is, Stage, no_objects, shown, with};
use crate::harness::Socket;

async fn refuse(socket: &mut Socket, message: Message, status: u16, code: &str) {
    let text = shown(&message.to_string());
    socket.send_raw(message).await;
    let problem = socket.frame().await;
    assert_eq!(problem["code"], code, "{text}: {problem}");
    assert_eq!(problem["status"], status, "{text}");
    for key in ["type", "title", "detail"] {
        assert!(problem[key].is_string(), "{text}: {problem}");
    }
}

#[tokio::test]
async fn a_bad_frame_is_answered_by_a_problem_and_the_socket_stays() {
    let stage = Stage::set().await;
    let server = &stage.server;
    let mut socket = Socket::legacy(server.addr, 1).await;
    let fields = [("userId", "1"), ("targetUserId", "2"), ("content", r#""你好""#)];
    let fields = fields.map(|(key, value)| (key, value.to_owned()));
    for (key, kind) in [
        ("userId", Is::Id),
        ("targetUserId", Is::Id),
        ("content", Is::Content),
        ("clientMsgId", Is::OptionalKey),
        ("userName", Is::OptionalName),
        ("targetUserName", Is::OptionalName),
    ] {
        for (value, code) in kind.wrong() {
            let text = with(&fields, key, value.as_deref());
            refuse(&mut socket, Message::text(text), 400, code).await;
        }
    }
    for bytes in no_objects() {
        if let Ok(text) = String::from_utf8(bytes) {
            refuse(&mut socket, Message::text(text), 400, "invalid_request").await;
        }
    }
    for bytes in [&b""[..], br#"{"userId":1,"targetUserId":2,"content":"x"}"#] {
        refuse(&mut socket, Message::binary(bytes.to_vec()), 400, "invalid_request").await;
    }
    let stored = crate::harness::server::json_of(server.get("/getMessage?userId=1").await).await;
    assert_eq!(stored, json!([]));
    assert_eq!(stage.zhang.get("/v1/users/2").await.status(), 404);

    // Strange, and good.
    let good = with(&fields, r"\ud800", Some(r#""\udc00""#));
    socket.send_text(&good).await;
    let chats = socket.frame().await;
    assert_eq!(chats.as_array().unwrap().len(), 1, "{chats}");
    assert_eq!(chats[0]["content"], "你好");
}
