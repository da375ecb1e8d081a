//! What a back end is told: the feed, and how it looks after webhooks.

use std::net::TcpListener;

use serde_json::json;

use super::person;
use crate::harness::{
    Start, eventually,
    receiver::SECRET,
    server::{assert_problem, json_of},
};

#[tokio::test]
async fn a_back_end_reads_the_feed() {
    let server = Start::default().set("feed.enabled", true).run();
    let back_end = server.back_end("feed");
    let zhang = server.person("张三").await;
    zhang.send(zhang.id, "one", "你好").await;
    let page = back_end.get_json("/feed").await;
    let kinds: Vec<_> = page["events"].as_array().unwrap().iter().map(|it| &it["type"]).collect();
    assert_eq!(kinds, ["user.created", "conversation.created", "chat.created"]);
    assert_eq!(page["events"][2]["data"]["chat"]["content"], "你好");
    assert_eq!(page["hasMore"], false);
    let cursor = page["cursor"].as_str().unwrap();

    let path = format!("/feed?after={cursor}&waitSecs=30");
    let wait = back_end.get_json(&path);
    let (news, _) = tokio::join!(wait, zhang.send(zhang.id, "two", "再见"));
    assert_eq!(news["events"][0]["data"]["chat"]["content"], "再见");
    let first = back_end.get_json("/feed?limit=1").await;
    assert_eq!((&first["events"][0], &first["hasMore"]), (&page["events"][0], &json!(true)));

    for query in ["after=x", "limit=0", "waitSecs=31", "waitSecs=-1", "waitSecs="] {
        assert_problem(back_end.get(&format!("/feed?{query}")).await, 400, "invalid_request").await;
    }
    let (_, place) = cursor.split_once('.').unwrap();
    let old = back_end.get(&format!("/feed?after=0.{place}")).await;
    assert_problem(old, 410, "cursor_gone").await;
    let other = server.back_end("webhooks");
    assert_problem(other.get("/feed").await, 403, "forbidden").await;
    assert_problem(back_end.get("/webhooks").await, 403, "forbidden").await;
    let log = server.back_end("audit").audited().await;
    // Once a minute.
    assert_eq!(log.iter().filter(|entry| *entry == "feed.read - ok").count(), 1, "{log:?}");
    assert!(log.contains(&"feed.read - cursor_gone".to_owned()), "{log:?}");
}

#[tokio::test]
async fn a_held_chat_is_told_as_it_would_be() {
    let server = Start::default()
        .set("feed.enabled", true)
        .set("hooks.before_send.url", "http://127.0.0.1:9/")
        .set("hooks.before_send.secret", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        .set("hooks.before_send.on_failure", "hold")
        .run();
    let back_end = server.back_end("all");
    let one = person(&server, &back_end, "u1", "甲").await;
    person(&server, &back_end, "u2", "乙").await;
    let talk = json!({"kind": "direct", "externalId": "t-1", "members": ["u1", "u2"]});
    let talk = json_of(back_end.post("/conversations", &talk).await).await["id"].clone();
    let chat = json!({"clientMsgId": "k", "targetExternalId": "u2", "content": "在吗"});
    assert_eq!(one.post("/v1/chats", &chat).await.status(), 202);
    let told = async || {
        let page = back_end.get_json("/feed").await;
        let events = page["events"].as_array().unwrap().clone();
        events.into_iter().rfind(|event| event["type"] == "chat.held").unwrap()["data"].clone()
    };
    let data = told().await;
    for about in [&data, &data["chat"]] {
        assert_eq!((&about["userId"], &about["externalId"]), (&json!(one.id), &json!("u1")));
        assert_eq!(about["targetExternalId"], "u2");
        assert_eq!(about["conversationId"], talk);
        assert_eq!(about["conversationExternalId"], "t-1");
        assert_eq!(about["clientMsgId"], "k");
    }
    assert_eq!((&data["chat"]["kind"], &data["chat"]["content"]), (&json!("text"), &json!("在吗")));
    let held = format!("/held/{}", data["id"]);
    assert_eq!(back_end.post(&held, &json!({"action": "release"})).await.status(), 204);
    assert_eq!(told().await["chat"]["content"], json!(null));
    let page = back_end.get_json("/feed").await;
    let sent = page["events"].as_array().unwrap().last().unwrap()["data"]["chat"].clone();
    assert_eq!(sent["conversationExternalId"], "t-1");
    assert_eq!(sent["content"], "在吗");
}

#[tokio::test]
async fn a_back_end_looks_after_its_webhooks() {
    let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{addr}/hook?key=hunter2");
    let kinds = ["chat.created"];
    let endpoints = json!([{"name": "crm", "url": url, "secret": SECRET, "kinds": kinds}]);
    let server = Start::default()
        .set("webhooks.endpoints", endpoints)
        .set("webhooks.allow_private", true)
        .run();
    let back_end = server.back_end("webhooks");
    let zhang = server.person("张三").await;
    zhang.send(zhang.id, "one", "你好").await;
    let list = async || back_end.get_json("/webhooks").await["endpoints"].clone();
    eventually("it is parked", async || list().await[0]["waiting"] == 1).await;
    let expected = json!([{
        "name": "crm", "host": "127.0.0.1", "kinds": kinds, "offSince": null, "waiting": 1, "dead": 0,
    }]);
    assert_eq!(list().await, expected);
    let page = back_end.get_json("/webhooks/crm/deliveries").await;
    let delivery = &page["deliveries"][0];
    assert_eq!((&delivery["state"], &delivery["type"]), (&json!("due"), &json!("chat.created")));
    assert_eq!(
        (&delivery["lastFailure"], &page["hasMore"]),
        (&json!("no connection"), &json!(false))
    );
    let id = delivery["id"].as_str().unwrap();
    let beyond = back_end.get_json(&format!("/webhooks/crm/deliveries?after={id}")).await;
    assert_eq!(beyond["deliveries"], json!([]));

    let replay = async |body| back_end.post("/webhooks/crm/replay", &body).await;
    assert_eq!(json_of(replay(json!({"ids": [id]})).await).await, json!({"count": 1}));
    let since = json!({"since": "2020-01-01T00:00:00Z"});
    assert_eq!(json_of(replay(since.clone()).await).await, json!({"count": null}));
    for wrong in [
        json!({}),
        json!({"ids": []}),
        json!({"ids": ["x"]}),
        json!({"ids": [id], "since": "2020-01-01T00:00:00Z"}),
        json!({"since": "yesterday"}),
    ] {
        assert_problem(replay(wrong).await, 400, "invalid_request").await;
    }
    assert_problem(back_end.get("/webhooks/erp/deliveries").await, 404, "not_found").await;
    assert_problem(back_end.post("/webhooks/erp/replay", &since).await, 404, "not_found").await;
    let feed = server.back_end("all").get("/feed").await;
    assert_problem(feed, 404, "not_found").await;
    assert!(!server.log().contains("hunter2"), "the log shows a URL");
}
