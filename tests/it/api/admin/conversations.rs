//! Conversations that a back end makes, changes and reads.

use reqwest::Method;
use serde_json::{Value, json};

use super::{done, person, set};
use crate::harness::server::assert_problem;

#[tokio::test]
async fn a_group_for_an_order_is_made_changed_and_read() {
    let (server, back_end) = set();
    let zhang = person(&server, &back_end, "u1", "张三").await;
    let li = person(&server, &back_end, "u2", "李四").await;
    let wang = person(&server, &back_end, "u3", "王五").await;
    let mut at_zhang = zhang.online().await;
    let new = json!({"kind": "group", "externalId": "order-4711", "title": "订单 4711", "members": [{"externalId": "u1", "role": "owner"}, li.id]});
    let group = done(201, back_end.post("/conversations", &new).await).await;
    for (key, value) in [
        ("kind", json!("group")),
        ("externalId", json!("order-4711")),
        ("title", json!("订单 4711")),
        ("memberCount", json!(2)),
    ] {
        assert_eq!(group[key], value, "{key}");
    }
    assert!(group["version"].is_i64());
    assert_eq!(done(200, back_end.post("/conversations", &new).await).await, group);
    let other = json!({"kind": "group", "externalId": "order-4711", "members": ["u1"]});
    assert_problem(back_end.post("/conversations", &other).await, 409, "key_reused").await;
    let line = at_zhang.until("event").await;
    assert_eq!(line["chat"]["userName"], "系统");
    let told = at_zhang.until("event").await["conversation"].clone();
    assert_eq!((&told["externalId"], &told["memberCount"]), (&json!("order-4711"), &json!(2)));

    let seen = zhang.get_json(&format!("/v1/conversations/{}", group["id"])).await;
    assert_eq!((&seen["externalId"], &seen["role"]), (&json!("order-4711"), &json!("owner")));
    let at = |rest: &str| format!("/conversations/external:order-4711{rest}");
    let added =
        done(200, back_end.post(&at("/members"), &json!({"members": ["u3", "u1"]})).await).await;
    assert_eq!(added["memberCount"], 3);
    let renamed = done(200, back_end.put(&at(""), &json!({"title": "已完成"})).await).await;
    assert_eq!(renamed["title"], "已完成");
    assert_eq!(
        wang.get_json(&format!("/v1/conversations/{}", group["id"])).await["title"],
        "已完成"
    );
    let said = json!({"clientMsgId": "k", "conversationId": group["id"], "content": "秘密"});
    let said = done(201, li.post("/v1/chats", &said).await).await["chat"].clone();

    // Reading is noted, by whom and of what, and nothing of what was read.
    let by_number = format!("/conversations/{}/chats?limit=2", group["id"]);
    for path in [at("/chats?limit=2"), by_number] {
        let read = back_end.get_json(&path).await;
        assert_eq!((&read["chats"][1], &read["hasMore"]), (&said, &json!(true)));
    }
    let oldest = back_end.get_json(&at("/chats?after=0&limit=1")).await;
    assert_eq!(oldest["chats"][0]["body"]["event"], "group_created");
    let log = back_end.audited().await;
    let noted = format!("chats.read conversation:{} ok", group["id"]);
    assert_eq!(log[..3], [noted.clone(), noted.clone(), noted]);

    let recalled = back_end.post(&format!("/chats/{}/recall", said["id"]), &Value::Null).await;
    let recalled = done(200, recalled).await["chat"].clone();
    assert_eq!((&recalled["state"], &recalled["content"]), (&json!("recalled"), &json!("")));
    let changed = loop {
        let event = at_zhang.until("event").await;
        if event["event"] == "changed" {
            break event;
        }
    };
    assert_eq!(changed["chat"], recalled);

    let gone = json!({"members": ["u1", "u3"]});
    let left = done(200, back_end.delete(&at("/members"), &gone).await).await;
    assert_eq!(left["memberCount"], 1);
    assert_eq!(zhang.get_json(&format!("/v1/conversations/{}", group["id"])).await["left"], true);
    let heir = li.get_json(&format!("/v1/conversations/{}", group["id"])).await;
    assert_eq!(heir["role"], "owner");
    assert_eq!(done(200, back_end.delete(&at("/members"), &gone).await).await, left, "a repeat");
    let log = back_end.audited().await;
    assert!(!log.join("\n").contains("秘密") && !log.join("\n").contains("order"), "{log:?}");
}

#[tokio::test]
async fn a_direct_conversation_has_a_name_of_the_back_end() {
    let (server, back_end) = set();
    let zhang = person(&server, &back_end, "u1", "张三").await;
    person(&server, &back_end, "u2", "李四").await;
    let new = json!({"kind": "direct", "externalId": "d", "members": ["u2", "u1"]});
    let made = done(201, back_end.post("/conversations", &new).await).await;
    assert_eq!((&made["kind"], &made["version"]), (&json!("direct"), &Value::Null));
    assert_eq!(done(200, back_end.post("/conversations", &new).await).await["id"], made["id"]);
    assert_eq!(zhang.get_json("/v1/conversations").await["conversations"], json!([]));
    let at = format!("/v1/conversations/{}", made["id"]);
    let own = zhang.get_json(&at).await;
    assert_eq!(
        (&own["lastChat"], &own["position"], &own["version"]),
        (&Value::Null, &json!(0), &json!(0))
    );
    let found = zhang.get_json("/v1/conversations?peerExternalId=u2").await;
    assert_eq!(found["conversations"], json!([own]));
    let settings = zhang.request(Method::PUT, &format!("{at}/settings"));
    let settings = settings.body(json!({"draft": "你"}).to_string()).send().await.unwrap();
    assert_eq!(done(200, settings).await["draft"], "你");
    let sent = json!({"clientMsgId": "k", "targetExternalId": "u2", "content": "在吗"});
    let sent = done(201, zhang.post("/v1/chats", &sent).await).await;
    assert_eq!(sent["chat"]["conversationId"], made["id"]);
    let list = zhang.get_json("/v1/conversations").await;
    assert_eq!(list["conversations"][0]["externalId"], "d");
    let into =
        json!({"from": "u2", "conversationExternalId": "d", "clientMsgId": "k", "content": "在"});
    done(201, back_end.post("/chats", &into).await).await;
    for (path, body) in [("", json!({"title": "x"})), ("/members", json!({"members": ["u1"]}))] {
        let path = format!("/conversations/external:d{path}");
        let answer = if path.ends_with('d') {
            back_end.put(&path, &body).await
        } else {
            back_end.post(&path, &body).await
        };
        assert_problem(answer, 404, "conversation_not_found").await;
    }
    let three = json!({"kind": "direct", "members": ["u1", "u2", "u1"]});
    assert_eq!(back_end.post("/conversations", &three).await.status(), 200, "each counts once");
}

#[tokio::test]
async fn a_thousand_members_with_long_names_are_read() {
    let (server, back_end) = set();
    person(&server, &back_end, "u1", "张三").await;
    let group = json!({"kind": "group", "externalId": "g", "members": ["u1"]});
    done(201, back_end.post("/conversations", &group).await).await;
    let names: Vec<_> = (0..1_000).map(|number| format!("{number:字>128}")).collect();
    let list = json!({"members": names});
    let path = "/conversations/external:g/members";
    assert_problem(back_end.post(path, &list).await, 404, "user_not_found").await;
    let begun = json!({"kind": "group", "members": names});
    assert_problem(back_end.post("/conversations", &begun).await, 404, "user_not_found").await;
    let long = json!({"title": "x".repeat(64 * 1024)});
    assert_problem(
        back_end.put("/conversations/external:g", &long).await,
        413,
        "payload_too_large",
    )
    .await;
}
