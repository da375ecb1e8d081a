//! Groups over HTTP and sockets: what each of the members sees, and what nobody else does.

use serde_json::{Value, json};

use super::unlimited;
use crate::harness::{
    Person, Server, Socket,
    server::{assert_problem, json_of},
};

struct Stage {
    server: Server,
    people: Vec<Person>,
}

impl Stage {
    async fn set() -> Self {
        let server = unlimited();
        let mut people = Vec::new();
        for name in ["张三", "李四", "王五", "赵六"] {
            people.push(server.person(name).await);
        }
        Self { server, people }
    }

    /// A group that the first makes with the second and the third.
    async fn group(&self) -> Value {
        let [zhang, li, wang, _] = &self.people[..] else { unreachable!() };
        let body =
            json!({"kind": "group", "key": "k", "title": "爬山", "userIds": [li.id, wang.id]});
        let answer = zhang.post("/v1/conversations", &body).await;
        assert_eq!(answer.status(), 201);
        json_of(answer).await
    }
}

async fn put(person: &Person, path: &str, body: &Value) -> reqwest::Response {
    person.request(reqwest::Method::PUT, path).body(body.to_string()).send().await.unwrap()
}

async fn delete(person: &Person, path: &str) -> reqwest::Response {
    person.request(reqwest::Method::DELETE, path).send().await.unwrap()
}

/// Waits for the next event of this kind, and returns it.
async fn event(socket: &mut Socket, kind: &str) -> Value {
    loop {
        let frame = socket.until("event").await;
        if frame["event"] == kind {
            return frame;
        }
    }
}

#[tokio::test]
async fn a_group_begins_is_told_and_talks() {
    let stage = Stage::set().await;
    let [zhang, li, wang, zhao] = &stage.people[..] else { unreachable!() };
    let mut at_li = li.online().await;
    let group = stage.group().await;
    for (key, value) in [
        ("kind", json!("group")),
        ("title", json!("爬山")),
        ("avatarUrl", Value::Null),
        ("memberCount", json!(3)),
        ("role", json!("owner")),
        ("unread", json!(0)),
        ("mentioned", json!(false)),
        ("pinned", json!(false)),
        ("muted", json!(false)),
        ("markedUnread", json!(false)),
        ("draft", Value::Null),
    ] {
        assert_eq!(group[key], value, "{key}");
    }
    assert_eq!(group["lastChat"]["body"]["event"], "group_created");
    assert_eq!(group["lastChat"]["userId"], zhang.id);
    let body = json!({"kind": "group", "key": "k", "title": "爬山", "userIds": [wang.id, li.id, zhang.id]});
    let again = zhang.post("/v1/conversations", &body).await;
    assert_eq!(again.status(), 200);
    assert_eq!(json_of(again).await["id"], group["id"]);
    let other = json!({"kind": "group", "key": "k", "userIds": [li.id]});
    assert_problem(zhang.post("/v1/conversations", &other).await, 409, "key_reused").await;
    let nobody = json!({"kind": "group", "key": "n", "userIds": [999_999_999]});
    assert_problem(zhang.post("/v1/conversations", &nobody).await, 404, "user_not_found").await;
    for alone in [json!([]), json!([zhang.id])] {
        let alone = json!({"kind": "group", "key": "a", "userIds": alone});
        let answer = zhang.post("/v1/conversations", &alone).await;
        assert_problem(answer, 400, "invalid_request").await;
    }

    let line = event(&mut at_li, "chat").await;
    assert_eq!(line["chat"]["kind"], "system");
    let told = event(&mut at_li, "conversation").await;
    assert_eq!(told["conversation"]["memberCount"], 3);
    for absent in ["lastChat", "unread", "role"] {
        assert!(told["conversation"].get(absent).is_none(), "{told}");
    }

    let id = &group["id"];
    let mut at_zhang = zhang.online().await;
    at_zhang
        .send(&json!({"type": "send", "clientMsgId": "m", "conversationId": id, "content": "走", "mentions": [li.id]}))
        .await;
    let sent = at_zhang.expect("sent").await;
    assert!(sent["chat"].get("targetUserId").is_none());
    assert_eq!(sent["chat"]["mentions"], json!([li.id]));
    let heard = event(&mut at_li, "chat").await;
    assert_eq!(heard["chat"], sent["chat"], "all see one and the same object");
    let list = li.get_json("/v1/conversations").await;
    let seen = &list["conversations"][0];
    assert_eq!((&seen["unread"], &seen["mentioned"]), (&json!(1), &json!(true)));
    assert_eq!((&list["unreadTotal"], &list["pinned"]), (&json!(1), &json!([])));
    let chat = json!({"clientMsgId": "x", "conversationId": id, "content": "x"});
    assert_problem(zhao.post("/v1/chats", &chat).await, 404, "conversation_not_found").await;
    let both =
        json!({"clientMsgId": "x", "conversationId": id, "targetUserId": li.id, "content": "x"});
    assert_problem(zhang.post("/v1/chats", &both).await, 400, "invalid_request").await;
    let all = json!({"clientMsgId": "y", "conversationId": id, "content": "x", "mentions": "all"});
    assert_problem(li.post("/v1/chats", &all).await, 403, "forbidden").await;
    assert_eq!(zhang.post("/v1/chats", &all).await.status(), 201);
    let stranger =
        json!({"clientMsgId": "z", "conversationId": id, "content": "x", "mentions": [zhao.id]});
    assert_problem(li.post("/v1/chats", &stranger).await, 400, "invalid_request").await;
    let line =
        json!({"clientMsgId": "s", "conversationId": id, "kind": "system", "body": {"title": "x"}});
    assert_problem(zhang.post("/v1/chats", &line).await, 403, "forbidden").await;

    at_li.send(&json!({"type": "typing", "conversationId": id})).await;
    let typing = at_zhang.until("typing").await;
    assert_eq!((&typing["userId"], &typing["conversationId"]), (&json!(li.id), id));
    drop(stage.server);
}

#[tokio::test]
async fn members_come_and_go() {
    let stage = Stage::set().await;
    let [zhang, li, wang, zhao] = &stage.people[..] else { unreachable!() };
    let group = stage.group().await;
    let at = |rest: &str| format!("/v1/conversations/{}{rest}", group["id"]);
    let mut at_wang = wang.online().await;
    let added = li.post(&at("/members"), &json!({"userIds": [zhao.id]})).await;
    assert_eq!(added.status(), 200);
    assert_eq!(json_of(added).await["memberCount"], 4);
    let page = zhao.get_json(&at("/members?limit=2")).await;
    assert_eq!((&page["members"][0]["role"], &page["hasMore"]), (&json!("owner"), &json!(true)));
    assert!(page["members"][0]["joinedAt"].is_string());
    let after = &page["members"][1]["user"]["id"];
    let rest = zhao.get_json(&at(&format!("/members?after={after}"))).await;
    assert_eq!(rest["members"].as_array().unwrap().len(), 2);
    let rest = zhao.get_json(&at("/members?after=999999999")).await;
    assert_eq!(rest["members"], json!([]), "after somebody who is not there any more");
    let history = zhao.get_json(&at("/chats")).await;
    assert_eq!(history["chats"].as_array().unwrap().len(), 1, "from the joining on");

    assert_problem(put(li, &at(""), &json!({"title": "x"})).await, 403, "forbidden").await;
    let role = at(&format!("/members/{}", li.id));
    assert_eq!(json_of(put(zhang, &role, &json!({"role": "admin"})).await).await["role"], "owner");
    assert_eq!(json_of(put(li, &at(""), &json!({"title": "游泳"})).await).await["title"], "游泳");
    assert_eq!(delete(li, &at(&format!("/members/{}", wang.id))).await.status(), 204);
    loop {
        let told = event(&mut at_wang, "conversation").await;
        if told["conversation"]["left"] == true {
            assert!(told["conversation"].get("title").is_none());
            break;
        }
    }
    let left = wang.get_json(&at("")).await;
    assert_eq!(left["left"], true);
    for (path, method) in
        [("/members", "GET"), ("/hide", "POST"), ("/settings", "PUT"), ("/read", "POST")]
    {
        let request = wang.request(method.parse().unwrap(), &at(path)).body(r#"{"upTo":1}"#);
        assert_problem(request.send().await.unwrap(), 404, "conversation_not_found").await;
    }
    assert_eq!(delete(zhang, &at(&format!("/members/{}", zhang.id))).await.status(), 204);
    assert_eq!(li.get_json(&at("")).await["role"], "owner");
    let gone = delete(zhang, &at(&format!("/members/{}", zhang.id))).await;
    assert_problem(gone, 404, "conversation_not_found").await;
    drop(stage.server);
}

#[tokio::test]
async fn what_one_keeps_is_on_all_devices() {
    let stage = Stage::set().await;
    let [zhang, li, ..] = &stage.people[..] else { unreachable!() };
    let chat = li.send(zhang.id, "k", "hello").await["chat"].clone();
    let at = |rest: &str| format!("/v1/conversations/{}{rest}", chat["conversationId"]);
    let mut beside = zhang.online().await;
    let settings = json!({"pinned": true, "muted": true, "markedUnread": true, "draft": "我先"});
    let kept = json_of(put(zhang, &at("/settings"), &settings).await).await;
    let told = event(&mut beside, "conversation").await;
    for (key, value) in settings.as_object().unwrap() {
        assert_eq!((&kept[key], &told["conversation"][key]), (value, value), "{key}");
    }
    let list = zhang.get_json("/v1/conversations").await;
    assert_eq!((&list["pinned"][0]["id"], &list["conversations"]), (&kept["id"], &json!([])));
    assert_eq!(list["unreadTotal"], 0);
    assert_eq!(zhang.post(&at("/read"), &json!({"upTo": chat["id"]})).await.status(), 204);
    let told = event(&mut beside, "conversation").await;
    assert_eq!(told["conversation"]["markedUnread"], false, "read is not unread");
    let none = json_of(put(zhang, &at("/settings"), &json!({"draft": null})).await).await;
    assert_eq!((&none["draft"], &none["pinned"]), (&Value::Null, &json!(true)));
    let long = json!({"draft": "好".repeat(2_001)});
    assert_problem(put(zhang, &at("/settings"), &long).await, 400, "invalid_request").await;
    let one = json!({"pinned": false});
    assert_eq!(put(zhang, &at("/settings"), &one).await.status(), 200);
    assert_eq!(zhang.post(&at("/hide"), &json!({})).await.status(), 204);
    assert_eq!(zhang.get_json("/v1/conversations").await["conversations"], json!([]));
    li.send(zhang.id, "k2", "again").await;
    assert_eq!(zhang.post(&at("/clear"), &json!({})).await.status(), 204);
    let list = zhang.get_json("/v1/conversations").await;
    assert_eq!(list["conversations"][0]["lastChat"], Value::Null);
    assert_eq!(zhang.get_json(&at("/chats")).await["chats"], json!([]));
    assert_eq!(li.get_json(&at("/chats")).await["chats"].as_array().unwrap().len(), 2);
    drop(stage.server);
}

#[tokio::test]
async fn a_chat_is_recalled_for_all_and_deleted_for_oneself() {
    let stage = Stage::set().await;
    let [zhang, li, wang, _] = &stage.people[..] else { unreachable!() };
    let chat = li.send(zhang.id, "k", "secret words").await["chat"].clone();
    let second = li.send(zhang.id, "k2", "other words").await["chat"].clone();
    let version = zhang.get_json(&format!("/v1/conversations/{}", chat["conversationId"])).await;
    let version = version["version"].clone();
    let mut at_zhang = zhang.online().await;
    let recall = format!("/v1/chats/{}/recall", chat["id"]);
    assert_problem(zhang.post(&recall, &json!({})).await, 403, "forbidden").await;
    assert_problem(wang.post(&recall, &json!({})).await, 404, "chat_not_found").await;
    let recalled = json_of(li.post(&recall, &json!({})).await).await["chat"].clone();
    assert_eq!((&recalled["state"], &recalled["content"]), (&json!("recalled"), &json!("")));
    assert_eq!(recalled["version"], 2);
    assert_eq!(li.post(&recall, &json!({})).await.status(), 200, "may be repeated");
    assert_eq!(event(&mut at_zhang, "changed").await["chat"], recalled);
    let repeat = li.send(zhang.id, "k", "secret words").await;
    assert_eq!(repeat["chat"], recalled);
    for path in [
        "/v1/events?since=0".to_owned(),
        "/v1/conversations".to_owned(),
        format!("/getMessage?userId={}", zhang.id),
    ] {
        let text = zhang.get(&path).await.text().await.unwrap();
        assert!(!text.contains("secret"), "{path}: {text}");
    }
    let changes =
        format!("/v1/conversations/{}/chats?changedSince={version}", chat["conversationId"]);
    let page = zhang.get_json(&changes).await;
    assert_eq!((&page["chats"], &page["hasMore"]), (&json!([recalled]), &json!(false)));

    let gone = format!("/v1/chats/{}", second["id"]);
    for _ in 0..2 {
        assert_eq!(delete(zhang, &gone).await.status(), 204);
    }
    let told = event(&mut at_zhang, "changed").await;
    let expected =
        json!({"id": second["id"], "conversationId": second["conversationId"], "state": "deleted"});
    assert_eq!(told["chat"], expected);
    assert_problem(delete(wang, &gone).await, 404, "chat_not_found").await;
    let chats = format!("/v1/conversations/{}/chats", chat["conversationId"]);
    assert_eq!(zhang.get_json(&chats).await["chats"], json!([recalled]));
    assert_eq!(li.get_json(&chats).await["chats"].as_array().unwrap().len(), 2);
    drop(stage.server);
}

#[tokio::test]
async fn cards_and_quotes_pass_through() {
    let stage = Stage::set().await;
    let [zhang, li, ..] = &stage.people[..] else { unreachable!() };
    let card = json!({"title": "订单", "path": "pages/order?id=1", "data": {"n": 1}});
    let body = json!({"clientMsgId": "c", "targetUserId": li.id, "kind": "card", "body": card});
    let sent = json_of(zhang.post("/v1/chats", &body).await).await["chat"].clone();
    assert_eq!(
        (&sent["kind"], &sent["content"], &sent["body"]),
        (&json!("card"), &json!("订单"), &card)
    );
    let reply = json!({"clientMsgId": "r", "targetUserId": zhang.id, "content": "好", "replyTo": sent["id"]});
    let reply = json_of(li.post("/v1/chats", &reply).await).await["chat"].clone();
    assert_eq!((&reply["replyTo"]["id"], &reply["replyTo"]["kind"]), (&sent["id"], &json!("card")));
    for wrong in [
        json!({"kind": "card", "body": {"title": ""}}),
        json!({"kind": "card", "body": {"title": "a", "url": "http://x"}}),
        json!({"kind": "card", "body": {"title": "a", "url": "https://x", "path": "p"}}),
        json!({"kind": "card", "content": "x", "body": {"title": "a"}}),
        json!({"kind": "card"}),
        json!({"kind": "text", "content": "x", "body": {"title": "a"}}),
        json!({"kind": "poem", "content": "x"}),
        json!({"content": "x", "mentions": "all"}),
        json!({"content": "x", "mentions": [0]}),
        json!({"content": "x", "mentions": "some"}),
        json!({"content": "x", "replyTo": 0}),
    ] {
        let mut body = wrong.clone();
        body["clientMsgId"] = "w".into();
        body["targetUserId"] = li.id.into();
        assert_problem(zhang.post("/v1/chats", &body).await, 400, "invalid_request").await;
    }
    let unknown =
        json!({"clientMsgId": "u", "targetUserId": li.id, "content": "x", "replyTo": 999_999});
    assert_problem(zhang.post("/v1/chats", &unknown).await, 404, "chat_not_found").await;
    drop(stage.server);
}
