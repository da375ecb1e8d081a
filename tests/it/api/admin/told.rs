//! What a back end is told: the feed, and how it looks after webhooks.

use std::net::TcpListener;

use serde_json::json;

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
    assert!(log.contains(&"feed.read - ok".to_owned()), "{log:?}");
    assert!(log.contains(&"feed.read - cursor_gone".to_owned()), "{log:?}");
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
