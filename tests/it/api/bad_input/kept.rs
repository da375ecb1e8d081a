//! Strange texts that are good come back exactly as they were sent.

use reqwest::Method;
use serde_json::{Value, json};

use super::Stage;
use crate::harness::{Socket, server::json_of};

/// What a chat may hold, however it looks.
fn strange() -> Vec<String> {
    [
        "😀👩‍👩‍👧‍👦🇨🇳👍🏽",
        "\u{202e}שלום مرحبا\u{202c}",
        "a\r\nb\nc\rd",
        "  前后都有空白 \t\r\n",
        "e\u{301} é \u{1100}\u{1161}",
        "\u{1}\u{7f}\u{85}\u{9f}\u{1b}[31m",
        "\u{feff}\u{200b}\u{2028}\u{2029}\u{fffd}\u{fffe}\u{ffff}\u{10ffff}",
        "'; DROP TABLE chats; -- \" \\ \\u0000 \\ud800 %00 %s {} ${x} <script>",
        "null",
        "{\"type\":\"ping\"}",
        ".",
        "\u{200b}.\u{3164}",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain(["😀".repeat(2_000), "\"".repeat(2_000)])
    .collect()
}

fn contents(chats: &Value) -> Vec<String> {
    let chats = chats.as_array().unwrap();
    chats.iter().map(|chat| chat["content"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn content_is_kept_to_the_last_character_on_every_way() {
    let stage = Stage::set().await;
    let (zhang, li) = (&stage.zhang, &stage.li);
    let mut at_zhang = zhang.online().await;
    let mut at_li = li.online().await;
    let path = format!("/imserver/{}", zhang.id);
    let bearer = format!("Bearer {}", zhang.token);
    let mut legacy =
        Socket::open(stage.server.addr, &path, &[("authorization", &bearer)]).await.ok().unwrap();

    let mut sent = vec!["你好".to_owned()];
    for (number, content) in strange().into_iter().enumerate() {
        let body = json!({
            "type": "send", "userId": zhang.id, "targetUserId": li.id, "content": content,
            "clientMsgId": format!("k{number}"),
        });
        match number % 4 {
            0 => assert_eq!(zhang.post("/v1/chats", &body).await.status(), 201),
            1 => at_zhang.send(&body).await,
            2 => assert_eq!(zhang.post("/push", &body).await.status(), 200),
            _ => legacy.send(&body).await,
        }
        assert_eq!(at_li.expect("event").await["chat"]["content"], content, "{content:?}");
        sent.push(content);
    }
    // As JSON escapes them, too.
    let escaped = r#""\u0061\ud83d\ude00\r\n\/""#;
    let body = format!(r#"{{"clientMsgId":"e","targetUserId":{},"content":{escaped}}}"#, li.id);
    let answer = zhang.request(Method::POST, "/v1/chats").body(body).send().await.unwrap();
    assert_eq!(json_of(answer).await["chat"]["content"], "a😀\r\n/");
    sent.push("a😀\r\n/".into());

    let chats = format!("/v1/conversations/{}/chats", stage.conversation);
    assert_eq!(contents(&li.get_json(&chats).await["chats"]), sent);
    let latest = li.get_json(&format!("/getMessage?userId={}", li.id)).await;
    assert_eq!(contents(&latest), sent);
    let events = li.get_json("/v1/events?since=0").await;
    let events: Vec<_> = events["events"].as_array().unwrap().iter().map(|e| &e["chat"]).collect();
    assert_eq!(contents(&json!(events)), sent);
    let last = &li.get_json("/v1/conversations").await["conversations"][0]["lastChat"];
    assert_eq!(last["content"], *sent.last().unwrap());
}

#[tokio::test]
async fn names_are_trimmed_composed_and_otherwise_kept() {
    let stage = Stage::set().await;
    for (given, name) in [
        ("👩‍👩‍👧‍👦🇨🇳", "👩‍👩‍👧‍👦🇨🇳"),
        ("❤\u{fe0f}\u{200d}🔥", "❤\u{fe0f}\u{200d}🔥"),
        ("שלום مرحبا", "שלום مرحبا"),
        ("\t 张 三\u{3000}", "张 三"),
        ("'\"\\%_<b>", "'\"\\%_<b>"),
        ("e\u{301}", "é"),
        ("\u{1100}\u{1161}", "가"),
    ] {
        let request = stage.zhang.request(Method::PATCH, "/v1/me");
        let answer = request.body(json!({"name": given}).to_string()).send().await.unwrap();
        assert_eq!(json_of(answer).await["name"], name);
        assert_eq!(stage.zhang.get_json("/v1/me").await["name"], name);
        let list = stage.li.get_json("/v1/conversations").await;
        assert_eq!(list["conversations"][0]["peer"]["name"], name);
        assert_eq!(list["conversations"][0]["lastChat"]["userName"], name);
    }
}
