//! People by the server API: found, with where they talk, and erased.

use reqwest::Method;
use serde_json::{Value, json};

use super::{done, on, person, set};
use crate::harness::{
    Start, eventually,
    server::{assert_problem, json_of},
};

fn ids(list: &Value) -> Vec<i64> {
    list["users"].as_array().unwrap().iter().map(|user| user["id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn people_are_found_by_name_and_by_either_id() {
    let (server, back_end) = set();
    let one = person(&server, &back_end, "u1", "张三").await;
    let other = person(&server, &back_end, "u2", "张三").await;
    let li = server.person("李四").await;
    let find = async |query: &str| back_end.get_json(&format!("/users?{query}")).await;
    let first = find("name=张&limit=1").await;
    assert_eq!((ids(&first), &first["hasMore"]), (vec![one.id], &json!(true)));
    assert_eq!(find("name=张&limit=1&after=0").await, first, "0 is the beginning");
    let second = find(&format!("name=张&limit=1&after={}", one.id)).await;
    assert_eq!((ids(&second), &second["hasMore"]), (vec![other.id], &json!(false)));
    assert_eq!(ids(&find("user=u2").await), [other.id]);
    assert_eq!(ids(&find(&format!("user=id:{}", li.id)).await), [li.id]);
    for nobody in ["user=nobody", "user=id:999999", "name=王", "name=%25"] {
        assert_eq!(find(nobody).await, json!({"users": [], "hasMore": false}), "{nobody}");
    }
    assert_eq!(ids(&find("").await).len(), 3, "all, but not the service's own user");
    let restriction = json!({"kind": "muted", "reason": "spam"});
    let answer = back_end.put("/users/u1/restriction", &restriction).await;
    assert_eq!(answer.status(), 204);
    let found = find("user=u1").await["users"][0].clone();
    let wanted = json!({"id": one.id, "name": "张三", "avatarUrl": null, "externalId": "u1",
        "createTime": found["createTime"],
        "restriction": {"kind": "muted", "until": null, "reason": "spam"}});
    assert_eq!(found, wanted);
    for wrong in ["user=", "user=id:x", "name=x&user=u1", "after=x", "limit=0"] {
        let answer = back_end.get(&format!("/users?{wrong}")).await;
        assert_problem(answer, 400, "invalid_request").await;
    }
    assert_problem(back_end.get("/users?after=999999").await, 404, "user_not_found").await;
    assert_eq!(back_end.audited().await[0], "user.find - user_not_found");
}

#[tokio::test]
async fn where_a_user_talks_is_told_without_what_is_said() {
    let (server, back_end) = set();
    let one = person(&server, &back_end, "u1", "甲").await;
    let other = person(&server, &back_end, "u2", "乙").await;
    one.send(other.id, "k", "secret words").await;
    let group = json!({"kind": "group", "externalId": "g", "title": "群", "members": ["u1", "u2"]});
    let group = done(201, back_end.post("/conversations", &group).await).await;
    let list = back_end.get_json("/users/u1/conversations").await;
    assert!(!list.to_string().contains("secret"), "{list}");
    let [first, second] = &list["conversations"].as_array().unwrap()[..] else { panic!("{list}") };
    assert_eq!((&first["id"], &first["title"]), (&group["id"], &json!("群")));
    assert_eq!((&first["externalId"], &first["memberCount"]), (&json!("g"), &json!(2)));
    assert_eq!((&second["peerId"], &second["peerName"]), (&json!(other.id), &json!("乙")));
    let next = format!("/users/u1/conversations?limit=1&before={}", first["position"]);
    let next = back_end.get_json(&next).await;
    assert_eq!((&next["conversations"], &next["hasMore"]), (&json!([second]), &json!(false)));
    let pin = one.request(Method::PUT, &format!("/v1/conversations/{}/settings", group["id"]));
    let pin = pin.body(json!({"pinned": true}).to_string()).send().await.unwrap();
    assert_eq!(pin.status(), 200);
    let list = back_end.get_json("/users/u1/conversations").await;
    assert_eq!(list["conversations"], json!([first, second]), "pinned ones are there too");
    let one_of_them = back_end.get_json("/conversations/external:g").await;
    assert_eq!(one_of_them["id"], group["id"]);
    let nobody = back_end.get("/users/nobody/conversations").await;
    assert_problem(nobody, 404, "user_not_found").await;
}

#[tokio::test]
async fn why_a_conversation_is_read_is_in_the_log() {
    let (server, back_end) = set();
    let one = person(&server, &back_end, "u1", "甲").await;
    let sent = one.send(one.id, "k", "words").await;
    let path = format!("/conversations/{}/chats", sent["chat"]["conversationId"]);
    assert_eq!(back_end.get_json(&path).await["chats"][0]["content"], "words");
    let why = format!("{path}?reason=举报 7");
    assert_eq!(back_end.get_json(&why).await["chats"][0]["content"], "words");
    for wrong in [String::new(), "x".repeat(201), "a%00".to_owned(), "a%0Ab".to_owned()] {
        let answer = back_end.get(&format!("{path}?reason={wrong}")).await;
        assert_problem(answer, 400, "invalid_request").await;
    }
    let log = back_end.get_json("/audit").await;
    let reads = log["entries"].as_array().unwrap().iter();
    let reads = reads.filter(|entry| entry["action"] == "chats.read");
    let reads: Vec<_> = reads.map(|entry| (&entry["reason"], &entry["outcome"])).collect();
    let (null, refused) = (Value::Null, json!("invalid_request"));
    let (ok, reason) = (json!("ok"), json!("举报 7"));
    let mut wanted = vec![(&null, &refused); 4];
    wanted.extend([(&reason, &ok), (&null, &ok)]);
    assert_eq!(reads, wanted);
}

#[tokio::test]
async fn the_groups_of_an_erased_user_are_told_at_once() {
    let (server, back_end) = on(Start::default().set("delivery.reconcile_secs", 3_600));
    person(&server, &back_end, "u1", "甲").await;
    let other = person(&server, &back_end, "u2", "乙").await;
    let group = json!({"kind": "group", "externalId": "g", "members": ["u1", "u2"]});
    done(201, back_end.post("/conversations", &group).await).await;
    let mut socket = other.online().await;
    assert_eq!(back_end.delete("/users/u1", &Value::Null).await.status(), 204);
    let left = socket.until("event").await;
    assert_eq!(left["chat"]["body"]["event"], "member_left");
    assert_eq!(socket.until("event").await["conversation"]["memberCount"], 1);
}

#[tokio::test]
async fn an_erased_user_is_gone_with_sockets_and_words() {
    let (server, back_end) = set();
    let one = person(&server, &back_end, "u1", "甲").await;
    let other = person(&server, &back_end, "u2", "乙").await;
    let sent = one.send(other.id, "k", "words").await;
    let mut socket = one.online().await;
    let answer = back_end.delete("/users/u1", &Value::Null).await;
    assert_eq!(answer.status(), 204);
    assert_eq!(socket.closed().await, 4401);
    assert_problem(one.get("/v1/me").await, 401, "unauthorized").await;
    let path = format!("/v1/conversations/{}/chats", sent["chat"]["conversationId"]);
    eventually("the words are gone", async || {
        other.get_json(&path).await["chats"][0]["content"] == ""
    })
    .await;
    assert_problem(back_end.delete("/users/u1", &Value::Null).await, 404, "user_not_found").await;
    // By the service's own id it may be repeated.
    let again = back_end.delete(&format!("/users/id:{}", one.id), &Value::Null).await;
    assert_eq!(again.status(), 204);
    let nobody = back_end.delete("/users/id:999999", &Value::Null).await;
    assert_problem(nobody, 404, "user_not_found").await;
    let found = back_end.get(&format!("/users?user=id:{}", one.id)).await;
    assert_eq!(json_of(found).await["users"], json!([]));
    let log = back_end.audited().await;
    let erased = format!("user.erase user:{} ok", one.id);
    assert_eq!(log.iter().filter(|line| **line == erased).count(), 2, "{log:?}");
}
