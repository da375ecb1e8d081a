//! Words of lists in chats, names and titles.

use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{
    Person, Server, Start, eventually,
    server::{assert_problem, json_of},
};

const LIST: &str = "# of the tests\n赌博\n刷单\thold\n加微信\tmask\n";

/// A server with this list, and the folder that it is in.
fn listing(list: &str) -> (TempDir, PathBuf, Start) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("words.txt");
    std::fs::write(&path, list).unwrap();
    let start =
        Start::default().set("moderation.words", path.display()).set("limits.enabled", false);
    (folder, path, start)
}

fn chat(key: &str, target: &Person, content: &str) -> Value {
    json!({"clientMsgId": key, "targetUserId": target.id, "content": content})
}

async fn put(person: &Person, path: &str, body: &Value) -> reqwest::Response {
    person.request(reqwest::Method::PUT, path).body(body.to_string()).send().await.unwrap()
}

async fn people(server: &Server) -> (Person, Person) {
    (server.person("张三").await, server.person("李四").await)
}

#[tokio::test]
async fn a_list_decides_about_chats() {
    let (_folder, _, start) = listing(LIST);
    let server = start.run();
    let (zhang, li) = people(&server).await;
    let mut at_li = li.online().await;

    for _ in 0..2 {
        let denied = zhang.post("/v1/chats", &chat("a", &li, "来 賭-博 吧")).await;
        assert_problem(denied, 422, "content_rejected").await;
    }
    // Nothing is stored: the key is free.
    assert_eq!(zhang.post("/v1/chats", &chat("a", &li, "你好")).await.status(), 201);
    assert_eq!(at_li.expect("event").await["chat"]["content"], "你好");

    for status in [201, 200] {
        let masked = zhang.post("/v1/chats", &chat("b", &li, "加 微 信 细聊")).await;
        assert_eq!(masked.status(), status);
        assert_eq!(json_of(masked).await["chat"]["content"], "* * * 细聊");
    }
    let other = zhang.post("/v1/chats", &chat("b", &li, "* * * 细聊")).await;
    assert_problem(other, 409, "client_msg_id_reused").await;
    assert_eq!(at_li.expect("event").await["chat"]["content"], "* * * 细聊");

    for _ in 0..2 {
        let held = zhang.post("/v1/chats", &chat("c", &li, "刷单，加微信")).await;
        assert_eq!(held.status(), 202);
    }
    let back_end = server.back_end("all");
    let held = back_end.get_json("/held").await["held"].clone();
    assert_eq!((held.as_array().unwrap().len(), &held[0]["content"]), (1, &json!("刷单，***")));
    let path = format!("/held/{}", held[0]["id"]);
    assert_eq!(back_end.post(&path, &json!({"action": "release"})).await.status(), 204);
    assert_eq!(at_li.expect("event").await["chat"]["content"], "刷单，***");

    // What the company's own back end sends in somebody's name is its own.
    for id in ["u1", "u2"] {
        let put = back_end.put(&format!("/users/{id}"), &json!({"name": "赌博研究所"})).await;
        assert!(put.status().is_success());
    }
    let sent = json!({"from": "u1", "to": "u2", "clientMsgId": "d", "content": "赌博"});
    assert_eq!(back_end.post("/chats", &sent).await.status(), 201);

    let subject = |line: usize| format!("user:{} words.txt:{line}", zhang.id);
    let wanted = [("chat.refuse", 2), ("chat.mask", 4), ("chat.hold", 3)];
    eventually("it is in the audit log", async || {
        let log = back_end.audited().await.join("\n");
        wanted.iter().all(|(action, line)| log.contains(&format!("{action} {}", subject(*line))))
    })
    .await;
    assert!(!server.log().contains("賭-博"), "the log shows a chat");
    assert!(server.metric(r#"imserver_checks_total{checker="words",outcome="deny"}"#).await >= 2.0);
}

#[tokio::test]
async fn cards_are_read_whole() {
    let (_folder, _, start) = listing(LIST);
    let server = start.run();
    let (zhang, li) = people(&server).await;
    let card = |key: &str, title: &str, description: &str| {
        json!({"clientMsgId": key, "targetUserId": li.id, "kind": "card", "body":
            {"title": title, "description": description, "url": "https://example.com/", "data": {"n": 1.50}}})
    };
    let denied = zhang.post("/v1/chats", &card("a", "订单", "赌博")).await;
    assert_problem(denied, 422, "content_rejected").await;
    for status in [201, 200] {
        let sent = zhang.post("/v1/chats", &card("b", "加微信", "也可以加 微信")).await;
        assert_eq!(sent.status(), status);
        let chat = json_of(sent).await["chat"].clone();
        assert_eq!((&chat["kind"], &chat["content"]), (&json!("card"), &json!("***")));
        let body = &chat["body"];
        assert_eq!((&body["title"], &body["description"]), (&json!("***"), &json!("也可以* **")));
        assert_eq!(
            (&body["url"], &body["data"]["n"]),
            (&json!("https://example.com/"), &json!(1.50))
        );
    }
    assert_eq!(zhang.post("/v1/chats", &card("c", "订单", "刷单")).await.status(), 202);
}

#[tokio::test]
async fn what_was_sent_before_the_list_came_is_answered_as_before() {
    let (_folder, path, start) = listing("枪支\n");
    let mut server = start.run();
    let (zhang, li) = people(&server).await;
    assert_eq!(zhang.post("/v1/chats", &chat("a", &li, "赌博")).await.status(), 201);
    assert_eq!(zhang.post("/v1/chats", &chat("b", &li, "加微信")).await.status(), 201);
    std::fs::write(&path, LIST).unwrap();
    server.terminate().await;
    server.start_again();
    let zhang = zhang.at(&server);
    for (key, content) in [("a", "赌博"), ("b", "加微信")] {
        let repeat = zhang.post("/v1/chats", &chat(key, &li, content)).await;
        assert_eq!(repeat.status(), 200);
        assert_eq!(json_of(repeat).await["chat"]["content"], content);
    }
    assert_problem(zhang.post("/v1/chats", &chat("c", &li, "赌博")).await, 422, "content_rejected")
        .await;
}

#[tokio::test]
async fn names_and_titles_have_no_listed_word() {
    let (_folder, _, start) = listing(LIST);
    let server = start.run();
    let (zhang, li) = people(&server).await;
    for name in ["赌博王", "刷单侠", "加-微-信"] {
        let refused = put(&zhang, "/v1/me", &json!({"name": name})).await;
        assert_problem(refused, 422, "content_rejected").await;
        let group = json!({"kind": "group", "key": "g", "title": name, "userIds": [li.id]});
        assert_problem(zhang.post("/v1/conversations", &group).await, 422, "content_rejected")
            .await;
        // A login goes on without the name.
        let named = server.person(name).await;
        assert_eq!(named.name, format!("用户{}", named.id));
        assert_eq!(server.person(name).await.id, named.id);
    }
    assert_eq!(zhang.get_json("/v1/me").await["name"], "张三");
    let group = json!({"kind": "group", "key": "g", "title": "同学", "userIds": [li.id]});
    let group = json_of(zhang.post("/v1/conversations", &group).await).await["id"].clone();
    let path = format!("/v1/conversations/{group}");
    let refused = put(&zhang, &path, &json!({"title": "赌博群"})).await;
    assert_problem(refused, 422, "content_rejected").await;
    assert_eq!(zhang.get_json(&path).await["title"], "同学");
    let back_end = server.back_end("all");
    eventually("it is in the audit log", async || {
        let log = back_end.audited().await.join("\n");
        let noted = |action: &str| log.contains(&format!("{action} user:{} words.txt:2", zhang.id));
        noted("name.refuse") && noted("title.refuse")
    })
    .await;
    let log = back_end.get_json("/audit").await;
    let entries = log["entries"].as_array().unwrap();
    assert!(entries.iter().any(|entry| entry["machine"] == "words" && entry["keyId"].is_null()));
}

#[test]
fn a_bad_list_is_named_before_anything_is_served() {
    let (folder, _, _) = listing("赌博\n刷单\tdelete\n");
    let path = folder.path().join("words.txt");
    let ended = crate::harness::start::program(&[
        ("IMSERVER__MODERATION__WORDS".to_owned(), path.display().to_string()),
        ("IMSERVER__SERVER__LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
        ("IMSERVER__METRICS__LISTEN".to_owned(), String::new()),
    ])
    .current_dir(folder.path())
    .output()
    .unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success());
    assert!(said.contains("moderation.words") && said.contains("words.txt:2:"), "{said}");
}
