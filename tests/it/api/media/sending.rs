//! Chats that show what somebody uploaded: sent, forwarded, repeated and recalled.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{bytes_of, got, kept, stage};
use crate::harness::{
    Person, Server, Socket,
    server::{assert_problem, json_of},
};

fn picture() -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(40, 30).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

const MP3: &[u8] = include_bytes!("fixtures/second.mp3");

/// What a chat with this upload is asked for by.
fn showing(target: i64, key: &str, media: &Value) -> Value {
    let id = &media["mediaId"];
    json!({"clientMsgId": key, "targetUserId": target, "kind": media["kind"], "body": {"mediaId": id}})
}

/// Sends a chat that is committed.
async fn sent(person: &Person, chat: &Value) -> Value {
    let answer = person.post("/v1/chats", chat).await;
    assert_eq!(answer.status(), StatusCode::CREATED, "{}", answer.text().await.unwrap());
    json_of(answer).await["chat"].take()
}

async fn recalled(person: &Person, chat: &Value) {
    let answer = person.post(&format!("/v1/chats/{}/recall", chat["id"]), &json!({})).await;
    assert_eq!(answer.status(), StatusCode::OK);
}

/// Three people on a server without limits.
async fn people() -> (Server, Person, Person, Person) {
    let (server, zhang) = stage().await;
    let (li, wang) = (server.person("李四").await, server.person("王五").await);
    (server, zhang, li, wang)
}

#[tokio::test]
async fn a_chat_says_of_its_upload_what_the_upload_was_answered_with() {
    let (server, zhang, li, _) = people().await;
    let mut at_li = li.online().await;
    let image = kept(&zhang, "image", &picture()).await;
    let voice = kept(&zhang, "voice", MP3).await;
    let file = super::upload_as(&zhang, "file", "年报.pdf", b"%PDF").await;
    let file: Value = json_of(file).await;
    for (media, content) in [(image, "[图片]"), (voice, "[语音]"), (file, "[文件] 年报.pdf")]
    {
        let key = media["mediaId"].as_str().unwrap();
        let chat = sent(&zhang, &showing(li.id, key, &media)).await;
        let mut body = media.clone();
        body.as_object_mut().unwrap().remove("kind");
        assert_eq!(
            (&chat["kind"], &chat["content"], &chat["body"]),
            (&media["kind"], &content.into(), &body)
        );
        assert_eq!(at_li.expect("event").await["chat"], chat);
        let size = bytes_of(&server, &chat["body"]["url"]).await.len();
        assert_eq!(chat["body"]["size"], size);

        // The same everywhere, and again.
        let conversation = &chat["conversationId"];
        let list = li.get_json("/v1/conversations").await;
        assert_eq!(list["conversations"][0]["lastChat"], chat);
        let history = format!("/v1/conversations/{conversation}/chats");
        let page = li.get_json(&format!("{history}?limit=1")).await;
        assert_eq!(page["chats"][0], chat);
        let changes = li.get_json(&format!("{history}?changedSince=0")).await;
        assert_eq!(changes["chats"].as_array().unwrap().last(), Some(&chat));
        let events = li.get_json("/v1/events?since=0").await;
        assert_eq!(events["events"].as_array().unwrap().last().unwrap()["chat"], chat);
        let repeat = zhang.post("/v1/chats", &showing(li.id, key, &media)).await;
        assert_eq!(repeat.status(), StatusCode::OK);
        assert_eq!(json_of(repeat).await["chat"], chat);
    }
}

#[tokio::test]
async fn a_socket_sends_pictures_in_the_order_of_its_frames() {
    let (_server, zhang, li, _) = people().await;
    let image = kept(&zhang, "image", &picture()).await;
    let mut socket = zhang.online().await;
    let frame = |mut chat: Value| {
        chat["type"] = "send".into();
        chat
    };
    for round in 0..5 {
        socket.send(&frame(showing(li.id, &format!("p{round}"), &image))).await;
        let words =
            json!({"clientMsgId": format!("w{round}"), "targetUserId": li.id, "content": "x"});
        socket.send(&frame(words)).await;
    }
    let mut last = 0;
    for round in 0..5 {
        for key in [format!("p{round}"), format!("w{round}")] {
            let answer = socket.expect("sent").await;
            assert_eq!(answer["clientMsgId"], key);
            assert!(answer["chat"]["id"].as_i64().unwrap() > last);
            last = answer["chat"]["id"].as_i64().unwrap();
        }
    }
    // A repeat is answered with the same.
    socket.send(&frame(showing(li.id, "p0", &image))).await;
    let answer = socket.expect("sent").await;
    assert_eq!(answer["chat"]["body"]["thumbUrl"], image["thumbUrl"]);
}

#[tokio::test]
async fn who_reads_a_chat_forwards_what_it_shows() {
    let (server, zhang, li, wang) = people().await;
    let image = kept(&zhang, "image", &picture()).await;
    let refused = async |person: &Person, target: &Person, key: &str| {
        let answer = person.post("/v1/chats", &showing(target.id, key, &image)).await;
        assert_problem(answer, 404, "not_found").await;
    };
    refused(&li, &wang, "a").await;
    let first = sent(&zhang, &showing(li.id, "a", &image)).await;
    let forwarded = sent(&li, &showing(wang.id, "a", &image)).await;
    assert_eq!(forwarded["body"], first["body"]);
    // Wang lost it by the recall; Li did not.
    recalled(&li, &forwarded).await;
    refused(&wang, &zhang, "b").await;
    let again = sent(&li, &showing(wang.id, "b", &image)).await;
    assert_eq!(bytes_of(&server, &again["body"]["url"]).await.len(), image["size"]);
    // Whoever has deleted the chat, or cleared the conversation, cannot read it.
    let path = format!("/v1/chats/{}", again["id"]);
    let gone = wang.request(reqwest::Method::DELETE, &path).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);
    refused(&wang, &zhang, "c").await;
}

#[tokio::test]
async fn a_recall_takes_the_picture_and_the_key_stays() {
    let (_server, zhang, li, _) = people().await;
    let image = kept(&zhang, "image", &picture()).await;
    let chat = sent(&zhang, &showing(li.id, "k", &image)).await;
    recalled(&zhang, &chat).await;
    let history = format!("/v1/conversations/{}/chats", chat["conversationId"]);
    let page = li.get_json(&history).await;
    let shown = &page["chats"][0];
    assert_eq!((&shown["state"], &shown["content"]), (&"recalled".into(), &"".into()));
    assert!(shown.get("body").is_none(), "{shown}");
    let repeat = zhang.post("/v1/chats", &showing(li.id, "k", &image)).await;
    assert_eq!(repeat.status(), StatusCode::OK);
    assert_eq!(&json_of(repeat).await["chat"], shown);
    let other = kept(&zhang, "image", &picture()).await;
    let reused = zhang.post("/v1/chats", &showing(li.id, "k", &other)).await;
    assert_problem(reused, 409, "client_msg_id_reused").await;
    // As long as it is not collected its owner sends it anew.
    sent(&zhang, &showing(li.id, "l", &image)).await;
}

#[tokio::test]
async fn what_cannot_be_shown_is_refused_and_sends_nothing() {
    let (_server, zhang, li, _) = people().await;
    let image = kept(&zhang, "image", &picture()).await;
    let chat = showing(li.id, "k", &image);
    let with = |key: &str, value: Value| {
        let mut chat = chat.clone();
        chat[key] = value;
        chat
    };
    let unknown = "0123456789abcdef0123456789abcdef";
    for (wrong, status, code) in [
        (with("kind", "voice".into()), 400, "invalid_request"),
        (with("kind", "video".into()), 400, "invalid_request"),
        (with("kind", "text".into()), 400, "invalid_request"),
        (with("content", "x".into()), 400, "invalid_request"),
        (with("body", Value::Null), 400, "invalid_request"),
        (with("body", json!({})), 400, "invalid_request"),
        (with("body", json!("x")), 400, "invalid_request"),
        (with("body", json!({"mediaId": 7})), 400, "invalid_request"),
        (with("body", json!({"mediaId": "x"})), 400, "invalid_request"),
        (with("body", json!({"mediaId": unknown.to_uppercase()})), 400, "invalid_request"),
        (with("body", json!({"mediaId": unknown})), 404, "not_found"),
    ] {
        assert_problem(zhang.post("/v1/chats", &wrong).await, status, code).await;
    }
    assert_eq!(zhang.get_json("/v1/conversations").await["conversations"], json!([]));
    // The key is free.
    sent(&zhang, &chat).await;
}

#[tokio::test]
async fn a_legacy_socket_shows_pictures_too() {
    let (server, zhang, li, _) = people().await;
    let image = kept(&zhang, "image", &picture()).await;
    let mut legacy = Socket::legacy(server.addr, li.id).await;
    sent(&zhang, &showing(li.id, "k", &image)).await;
    let snapshot = legacy.frame().await;
    assert_eq!(snapshot[0]["content"], "[图片]");
    assert_eq!(got(&server, &snapshot[0]["body"]["url"]).await.status(), 200);
}
